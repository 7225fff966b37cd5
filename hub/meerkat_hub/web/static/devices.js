// A card for each device: what its sensors say, its lights, its battery and sleep, and what can be set of it.

import { Panel } from "./settings.js";
import { $, Keyed, arrange, h, minute, post, since, span, title } from "./tools.js";

const ANSWERS = 3000;
const cards = new Keyed(), panels = new Map();
let known = [], aim = location.hash;  // until it is shown

onpointerdown = onwheel = onkeydown = () => { aim = ""; };
onload = arrive;

export const named = (thing) => thing.label || title(thing.name);
const about = (device) => device.label || title(device.device);

const words_of = { online: "", offline: "offline", asleep: "asleep", unknown: "not heard of yet" };

/** Why nothing new comes from a device; empty when it is there. */
export function absent({ availability, next_wake }) {
  return words_of[availability] + (availability === "asleep" && next_wake ? `, wakes ${minute(next_wake)}` : "");
}

const offers = (device) => device.settings.length || device.meters.some((meter) => meter.settings.some((one) => one.kind !== "button"));
const gone = ({ availability }) => /off|unk/.test(availability);
const shows = (device) => gone(device) || device.sensors.length || device.lights.length || device.battery || device.wake_every || offers(device);

/** Bring the cards up to date. A card stays as long as the device has the same things: what is open stays open. */
export function show(devices) {
  known = devices.filter(shows);
  $("devices").hidden = !known.length;
  arrange($("device-cards"), known.map((device) => {
    const { device: name, label, model, sensors, lights } = device;
    const made_of = [name, label, model, sensors.map((one) => [one.name, one.label, one.kind]), lights.map((one) => [one.name, one.label, one.dimmable]),
      device.cameras.length, device.meters.map((one) => [one.name, one.label]), Boolean(offers(device))];
    return cards.get(name, made_of, () => card(device));
  }));
  known.forEach(update);
  arrive();
}

function arrive() {
  if (aim !== location.hash || !$(aim.slice(1))) return;
  location.replace(aim);
  if (document.readyState === "complete") aim = "";  // loading moves it
}

function card(device) {
  const { device: name, sensors, lights } = device;
  const trouble = h("p", { class: "why", role: "status" });
  return h("li", { class: "card device", id: `device=${name}`, "data-device": name },
    h("div", { class: "line" }, h("h3", { class: "name" }, about(device)), h("span", { class: "soft", "data-how": "" })),
    h("p", { class: "soft", "data-about": "" }),
    h("ul", { class: "things" },
      ...sensors.map((one) => h("li", { class: "setting" }, h("span", {}, named(one)), h("span", { "data-sensor": one.name }))),
      ...lights.map((one) => light(device, one, trouble))),
    trouble, offers(device) && settings(device),
    h("button", { class: "button", type: "button", "data-forget": "", "aria-label": `Forget ${about(device)}…`,
      onclick: async ({ target }) => (await import("./forget.js")).device(name, about(device), target, trouble) }, "Forget…"));
}

function light({ device }, { name, dimmable, ...one }, trouble) {
  const called = named({ name, ...one });
  const wish = async (body) => {
    trouble.textContent = "";
    await post(`lights/${device}/${name}`, body).catch((error) => { trouble.textContent = error.message; });
    // Where no word comes back, it stays as it was.
    setTimeout(() => known.forEach(update), trouble.textContent ? 0 : ANSWERS);
  };
  return h("li", { class: "setting", "data-light": name },
    h("label", {}, h("input", { type: "checkbox", role: "switch", onchange: ({ target }) => wish({ on: target.checked }) }), called),
    dimmable && h("span", { class: "range" },
      h("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Brightness of ${called}`,
        oninput: ({ target }) => { target.nextSibling.textContent = `${target.value} %`; },
        onchange: ({ target }) => wish(target.value === "0" ? { on: false } : { on: true, brightness: target.valueAsNumber }) }),
      h("output")));
}

function settings(device) {
  const trouble = h("p", { class: "why", role: "status" }), root = h("div", { class: "settings" });
  const panel = new Panel(root, trouble);
  const sections = [...device.meters.map((meter) => ({ thing: meter.name, heading: `Meter ${named(meter)}` })),
    { thing: "device", heading: device.meters.length ? "Device" : "" }];
  const open = ({ target }) => {
    if (target.open) panel.show(device.device, sections);
    panels[target.open ? "set" : "delete"](device.device, panel);
  };
  return h("details", { ontoggle: open }, h("summary", {}, "Settings"), trouble, root,
    device.cameras.length && h("p", { class: "soft" }, "A camera is set beside its live picture: open it there."));
}

const states = { motion: ["no motion", "motion"], door: ["shut", "open"] };

/** What a sensor says, as text or a time. */
function says({ kind, on, pressed_at }) {
  if (kind === "button") return pressed_at ? ["pressed ", since(pressed_at)] : ["not pressed yet"];
  return [on == null ? "not known" : states[kind][Number(on)]];
}

function update(device) {
  const element = $(`device=${device.device}`), away = absent(device), { battery, wake_every } = device;
  if (!element) return;
  element.classList.toggle("away", away);
  put(element.querySelector("[data-how]"), [away || "online"]);
  element.querySelector("[data-forget]").hidden = !gone(device);
  put(element.querySelector("[data-about]"), [[
    device.model,
    battery && `battery ${Math.round(battery.level)} %${battery.charging ? ", charging" : ""}`,
    wake_every && `wakes every ${span(wake_every)}`,
  ].filter(Boolean).join(" · ")]);
  for (const sensor of device.sensors) {
    const said = element.querySelector(`[data-sensor="${sensor.name}"]`);
    put(said, says(sensor));
    said.className = sensor.on ? "on" : "soft";
  }
  for (const { name, on, brightness } of device.lights) {
    const [lit, level] = element.querySelectorAll(`[data-light="${name}"] input`);
    lit.disabled = away || on == null;
    lit.checked = on;
    if (!level) continue;
    level.disabled = lit.disabled;
    if (level.matches(":active")) continue;
    level.value = on ? brightness ?? 100 : 0;
    level.nextSibling.textContent = on && brightness != null ? `${Math.round(brightness)} %` : "";
  }
  panels.get(device.device)?.load();
}

/** Touches the document only when it reads otherwise: a screen reader may be on it. */
function put(element, nodes) {
  const text = nodes.map((node) => node.textContent ?? node).join("");
  if (element.textContent !== text) element.replaceChildren(...nodes);
}
