// What is forgotten for good, after a question: a device that is gone, and somebody's face.

import { remove } from "./tools.js";

async function ask(question, path, button, failed) {
  if (!confirm(question)) return;
  button.disabled = true;
  try {
    await remove(path);
  } catch (error) {
    failed(error.message);
    button.disabled = false;
  }
}

/** The card goes when the hub says that there is no such device any more. */
export async function device(name, called, button, trouble) {
  trouble.textContent = "";
  await ask(`Forget ${called}? It leaves this page and Home Assistant, with its cameras and meters. What it recorded stays until its time is over. Should it ever come back, it is shown again.`,
    `devices/${name}`, button, (text) => { trouble.textContent = text; });
}

export async function person(name, button, done) {
  await ask(`Remove all that the hub keeps of ${name}'s face? Events that name ${name} stay.`,
    `people/${encodeURIComponent(name)}`, button, (text) => alert(text));
  done();
}
