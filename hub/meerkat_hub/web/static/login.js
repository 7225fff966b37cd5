// The login: sends the password, and shows what was asked for once it is right.

const form = document.getElementById("login"), trouble = document.getElementById("trouble");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  trouble.textContent = "";
  try {
    const body = JSON.stringify({ password: form.password.value });
    const answer = await fetch("login", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (answer.ok) { location.reload(); return; }
    const { what = `The hub answered with status ${answer.status}`, remedy = "" } = await answer.json().catch(() => ({}));
    trouble.textContent = answer.status === 401 ? "This is not the password." : `${what}. ${remedy}`;
    form.password.select();
  } catch {
    trouble.textContent = "The hub does not answer.";
  }
  button.disabled = false;
});

button.disabled = false;  // sooner the browser itself would send the form
