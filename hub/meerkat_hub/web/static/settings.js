// Beside a camera's live picture: what can be set while it runs, and the corners of a mask or zone.

import { $, api, h, post, title } from "./tools.js";

const SETTLES = 700;
let shown = "", corners = [];

/** Show those of a camera, "device/name"; nothing when it offers none. */
export async function open(id) {
  shown = id;
  corners = [];
  showCorners();
  $("settings").replaceChildren();
  await load();
}

async function load() {
  const id = shown, [device, thing] = id.split("/");
  const all = await api(`devices/${device}/settings`).catch((error) => { say(error.message); return []; });
  if (id !== shown) return;
  const mine = all.filter((one) => one.thing === thing);
  const rows = (common) => mine.filter((one) => one.common === common).map(row);
  const opened = $("settings").querySelector("details")?.open;
  $("settings").replaceChildren(...rows(true),
    ...(mine.some((one) => !one.common) ? [h("details", { open: opened }, h("summary", {}, "More settings"), ...rows(false))] : []));
}

const row = (one) => h("label", { class: "setting" },
  h("span", {}, one.label || title(one.name), one.unit && h("span", { class: "soft" }, ` ${one.unit}`)), control(one));

function control(one) {
  const { kind, name, value } = one, common = { disabled: value == null && kind !== "button", "data-setting": name };
  if (kind === "switch") return h("input", { ...common, type: "checkbox", checked: value === "ON", onchange: ({ target }) => set(name, target.checked) });
  if (kind === "select") {
    return h("select", { ...common, onchange: ({ target }) => set(name, target.value) },
      ...one.options.map((option) => h("option", { selected: option === value }, option)));
  }
  if (kind === "number") {
    return h("input", { ...common, type: "number", min: one.minimum, max: one.maximum, step: "any", value,
      onchange: ({ target }) => set(name, target.value === "" ? "default" : target.valueAsNumber) });
  }
  return h("button", { ...common, class: "button", type: "button", onclick: () => set(name, "PRESS") }, one.label || title(name));
}

async function set(name, value) {
  say("");
  try {
    await post(`devices/${shown}/${name}`, { value });
  } catch (error) {
    say(error.message);
  }
  setTimeout(load, SETTLES);
}

const say = (text) => { $("settings-trouble").textContent = text; };

// --- corners ---------------------------------------------------------------------------------------

/** A corner, in fractions of the picture; they are shown as they are written into meerkat.yaml. */
export function corner(...place) {
  corners.push(place.map((part) => Math.round(1000 * Math.min(1, Math.max(0, part))) / 1000));
  showCorners();
}

function showCorners() {
  $("corners").hidden = !corners.length;
  $("corners").replaceChildren(h("code", {}, `[${corners.map(([x, y]) => `[${x}, ${y}]`).join(", ")}]`), " ",
    h("button", { class: "button", type: "button", onclick: () => { corners = []; showCorners(); } }, "Begin again"));
}
