// Cameras that are added here: to try an address and see its picture, to add it, to change and to remove it.

import { $, api, h, put, remove } from "./tools.js";

// [what it is, scheme, what stands behind its address]
const BRANDS = [
  ["Axis", "rtsp", "/axis-media/media.amp"],
  ["Dahua, Amcrest", "rtsp", "/cam/realmonitor?channel=1&subtype=0"],
  ["Foscam", "rtsp", ":88/videoMain"],
  ["Hikvision", "rtsp", "/Streaming/Channels/101"],
  ["Reolink", "rtsp", "/h264Preview_01_main"],
  ["TP-Link Tapo", "rtsp", "/stream1"],
  ["ESP32-CAM", "http", ":81/stream"],
  ["mjpg-streamer, ustreamer", "http", ":8080/?action=stream"],
  ["IP Webcam on a phone", "http", ":8080/video"],
  ["USB camera of this machine", "", "0"],
];
const STARTS = 20;

let known = { possible: false, device: "", cameras: [] }, changed = null, wished = "", shown = "";

const load = async () => { known = await api("cameras"); };
const called = ({ name, label }) => label || name;

const ended = (text) => (/[.?!]$/.test(text) ? text : `${text}.`);

/** "Front door" → "front-door", as no other camera is called. */
function nameFor(label) {
  const plain = label.trim().toLowerCase().normalize("NFD").replaceAll(/[\u0300-\u036f]/g, "").replaceAll("ß", "ss");
  const base = plain.replaceAll(/[^a-z0-9_-]+/g, "-").replaceAll(/^[-_]+|[-_]+$/g, "").slice(0, 50) || "camera";
  const taken = (name) => name === "device" || known.cameras.some((camera) => camera.name === name);
  let name = base;
  for (let n = 2; taken(name); n++) name = `${base}-${n}`;
  return name;
}

/** An address of this brand: whose camera, and where, stays as it was written. */
function address(before, [, scheme, path]) {
  if (!scheme) return path;
  const place = before.match(/:\/\/([^/]+)/)?.[1].replace(/:\d+$/, "") ?? "user:password@192.168.1.20";
  return `${scheme}://${place}${path}`;
}

// --- the dialog ------------------------------------------------------------------------------------

const source = h("input", { id: "camera-source", name: "source", type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", inputmode: "url", "aria-describedby": "camera-help" });
const label = h("input", { id: "camera-label", name: "label", type: "text", maxlength: 80, autocomplete: "off", placeholder: "Front door" });
const brand = h("select", { id: "camera-brand" }, h("option", { value: "" }, "Another one"), ...BRANDS.map(([name], i) => h("option", { value: i }, name)));
const help = h("p", { id: "camera-help", class: "soft" });
const said = h("p", { id: "camera-said", class: "soft", role: "status" });
const picture = h("canvas", { id: "camera-picture", role: "img", hidden: true });
const yaml = h("pre", { id: "camera-yaml", hidden: true });
const attempt = h("button", { id: "camera-try", class: "button", type: "button", onclick: () => careful(look) }, "Try it");
const save = h("button", { id: "camera-save", class: "button go", type: "submit" }, "Add");
const heading = h("h2", { id: "camera-title" });
const form = h("form", { class: "camera", onsubmit: (event) => { event.preventDefault(); careful(keep); } },
  h("label", { for: "camera-brand" }, "Which camera is it?"), brand,
  h("label", { for: "camera-source" }, "Its address"), source, help,
  h("label", { for: "camera-label" }, "What you call it"), label,
  h("div", { class: "actions" }, attempt, save), said, h("div", { class: "stage" }, picture), yaml);
const dialog = h("dialog", { id: "camera", "aria-labelledby": "camera-title" }, h("div", { class: "dialog" },
  h("div", { class: "heading" }, heading, h("button", { class: "button plain", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")), form));

document.head.append(h("link", { rel: "stylesheet", href: "static/cameras.css" }));
document.body.append(dialog);
dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
dialog.addEventListener("close", () => { source.value = ""; });  // it may hold a password
brand.addEventListener("change", () => {
  if (brand.value) source.value = address(source.value, BRANDS[brand.value]);
  source.focus();
  show();
});
for (const input of [source, label]) input.addEventListener("input", show);
label.addEventListener("input", () => { wished = ""; });

function say(text, bad = false) {
  said.textContent = text;
  said.className = bad ? "why" : "soft";
}

/** One thing at a time, and what goes wrong in words. */
async function careful(work) {
  attempt.disabled = save.disabled = true;
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  }
  attempt.disabled = save.disabled = false;
}

/** Where nobody runs what is added: what to write instead. It stays in this browser. */
function show() {
  yaml.hidden = known.possible;
  if (known.possible) return;
  const own = `{source: ${JSON.stringify(source.value.trim() || "rtsp://user:password@192.168.1.20/stream")}${label.value.trim() && `, label: ${JSON.stringify(label.value.trim())}`}}`;
  yaml.textContent = `devices:\n  porch:\n    cameras:\n      ${nameFor(label.value)}: ${own}`;
}

function open(camera = null) {
  [changed, wished] = [camera, ""];
  heading.textContent = camera ? `Change ${called(camera)}` : "Add a camera";
  save.textContent = camera ? "Save" : "Add";
  [brand.value, source.value, label.value] = ["", "", camera?.label ?? ""];
  source.placeholder = camera ? camera.source : "rtsp://user:password@192.168.1.20/stream";
  source.required = !camera;
  help.replaceChildren(camera ? "Left empty, the address stays as it is, with its password. " : "",
    "Write ", h("code", {}, "@ : / ? #"), " in a password as ", h("code", {}, "%40 %3A %2F %3F %23"), ". The camera's manual names the path.");
  picture.hidden = true;
  attempt.hidden = save.hidden = !known.possible;
  say(known.possible ? "" : "This hub was started by itself and runs no cameras. Write this into meerkat.yaml of the machine that is to watch it, and start it with `meerkat device`:");
  show();
  dialog.showModal();
  source.focus();
}

async function look() {
  if (!source.value.trim()) throw new Error("Write the camera's address first.");
  picture.hidden = true;
  say("Looking… it may take some seconds.");
  const response = await fetch("api/cameras/try", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ source: source.value }) })
    .catch(() => { throw new Error("The hub does not answer."); });
  if (!response.ok) {
    const { what = `The hub answered with status ${response.status}`, where, remedy } = await response.json().catch(() => ({}));
    throw new Error([where && where !== "source" ? `${where}: ${what}` : what, remedy].filter(Boolean).map(ended).join(" "));
  }
  const shot = await createImageBitmap(await response.blob());
  [picture.width, picture.height, picture.hidden] = [shot.width, shot.height, false];
  picture.getContext("2d").drawImage(shot, 0, 0);
  picture.setAttribute("aria-label", "What the camera sees");
  const size = response.headers.get("x-size").replace("x", "×"), rate = Number(response.headers.get("x-frames-per-second"));
  say(`It gives ${size}${rate ? `, ${rate} frames a second` : ""}.`);
}

async function keep() {
  if (!changed && !wished) {
    await load();  // another browser may have added one of this name meanwhile
    wished = nameFor(label.value);
  }
  const name = changed?.name ?? wished;  // pressed again, for want of an answer, it is the same one
  await put(`cameras/${name}`, { source: source.value.trim() || null, label: label.value.trim() });
  say(changed ? "Saved. It starts anew…" : "Added. It starts…");
  changed ??= { name };
  for (let n = 0; n < STARTS && dialog.open; n++) {
    await new Promise((then) => setTimeout(then, 1000));
    const device = (await api("devices")).find((one) => one.device === known.device);
    const there = device?.availability === "online" && device.cameras.find((camera) => camera.name === name);
    if (there && (there.picture_at || device.errors.length)) break;
  }
  dialog.close();
  if (shown === `${known.device}/${name}` && $("live").open) $("live").close();
}

// --- from the page ---------------------------------------------------------------------------------

/** The button beside "Live". */
export async function add() {
  await load().catch((error) => say(error.message, true));
  open();
}

const actions = h("p", { class: "actions", id: "own-camera" });

/** Beside the large picture of a camera, "device/name", that was added here. */
export async function beside(id) {
  shown = id;
  actions.replaceChildren();
  $("live-time").after(actions);
  await load().catch(() => { known.cameras = []; });  // then it cannot be changed either
  const camera = known.cameras.find(({ name }) => `${known.device}/${name}` === id);
  if (!camera || shown !== id) return;
  const trouble = h("span", { class: "why", role: "status" });
  actions.replaceChildren(
    h("button", { class: "button", type: "button", "data-change": "", onclick: () => open(camera) }, "Change the address"),
    h("button", { class: "button", type: "button", "data-remove": "", onclick: ({ target }) => drop(camera, target, trouble) }, "Remove"), trouble);
}

async function drop(camera, button, trouble) {
  if (!confirm(`Watch ${called(camera)} no longer? What it recorded stays until its time is over.`)) return;
  button.disabled = true;
  try {
    await remove(`cameras/${camera.name}`);
    $("live").close();
  } catch (error) {
    trouble.textContent = error.message;
    button.disabled = false;
  }
}
