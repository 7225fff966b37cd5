// Meters: what they show now, on their cards, in words.

import { api, h, since, title } from "./tools.js";

let known = new Map();

export async function load() {
  known = new Map((await api("meters")).map((one) => [`${one.device}/${one.meter}`, one]));
}

/** How a meter stands, "device/meter"; nothing while it is not known. */
export const status = (id) => known.get(id);

/** What its owner calls it. */
export const called = (one) => one.label || title(one.meter);

/** Counters to be looked at; none of a meter that is gone. */
export function alarms() {
  return [...known.values()].filter(({ kind }) => kind).flatMap((one) => one.counters.filter(({ verdict }) => verdict?.leak)
    .map(({ counter, verdict }) => `Meter ${called(one)}${counter ? ` (${title(counter)})` : ""}: ${verdict.leak}.`));
}

/** A meter whose pictures nobody can read for want of a worker. */
export function unread() {
  return [...known.values()].filter((one) => one.waiting && !one.readers)
    .map((one) => `Pictures of meter ${called(one)} wait to be read, and no worker is there: start one with \`meerkat worker\`.`);
}

// --- words -----------------------------------------------------------------------------------------

/** Decimals of a step: 0.001 has 3. */
export const places = (step) => (step ? Math.max(0, Math.min(9, Math.round(-Math.log10(step)))) : 3);

/** A value with as many decimals as its counter has; without a step at most three. */
export const number = (value, step) => (step ? value.toFixed(places(step)) : String(Math.round(value * 1000) / 1000));

const short = (value) => value.toLocaleString(undefined, { maximumSignificantDigits: 3 });

/** An amount in words: litres where cubic metres are small. */
export function amount(value, unit, most = value) {
  if (unit === "m³" && Math.abs(most) < 1) return `${Math.abs(most) < .01 ? short(value * 1000) : Math.round(value * 1000).toLocaleString()} L`;
  return `${short(value)} ${unit}`;
}

/** What flows, or nothing where it is not known. */
export function flow(per_hour, unit) {
  if (per_hour == null) return "";
  if (unit === "kWh" || unit === "Wh") return `${short(per_hour)} ${unit.slice(0, -1)}`;
  return `${amount(per_hour, unit)}/h`;
}

export const verdicts = {
  accepted: ["good", "Read well"],
  held: ["warn", "Waits for another picture"],
  implausible: ["bad", "Not believed"],
  unreadable: ["bad", "Cannot be read"],
};

/** What became of a picture that was not accepted. */
export function doubted({ verdict, value, unit, reason }, step) {
  const read = value == null ? "" : `${number(value, step)} ${unit}: `;
  return `${read}${reason || verdicts[verdict][1].toLowerCase()}.`;
}

/** The value as the meter shows it: a digit in each window, those after the point in red. */
export function counter(value, unit, { step, span: top } = {}) {
  const text = number(value, step), [whole, rest = ""] = text.split(".");
  const digits = whole.padStart(top ? Math.round(Math.log10(top)) : 1, "0");
  const windows = (some, kind) => [...some].map((digit) => h("span", { class: kind }, digit));
  return h("span", { class: "counter" }, h("span", { class: "hidden" }, `${text} ${unit}`),
    h("span", { class: "digits", "aria-hidden": "true" }, ...windows(digits, "digit"), ...windows(rest, "digit red")),
    h("span", { class: "unit", "aria-hidden": "true" }, ` ${unit}`));
}

// --- on the card -----------------------------------------------------------------------------------

const wrongs = { dark: "Too dark", burnt_out: "Burnt out", blurred: "Blurred" };

/** What a card shows of a meter, so that it is made again only when that has changed. */
export const shows = (id) => { const one = known.get(id); return one && [one.counters, one.layout, one.waiting, one.readers]; };

/** Below the picture: what was read, what flows, and what is wrong. */
function reading(one) {
  if (!one) return [];
  const lines = one.counters.flatMap(({ counter: name, reading: last, verdict, unit, value, step, span: top }) => [
    last && h("span", { class: "line" }, counter(value ?? last.value, value == null ? last.unit : unit, { step, span: top }), name && h("span", { class: "soft" }, title(name))),
    !last && verdict?.value != null && h("span", { class: "line doubtful" }, counter(verdict.value, verdict.unit, { step, span: top }), h("span", { class: "soft" }, "not sure yet")),
    last && h("span", { class: "line soft" }, h("span", {}, flow(last.flow, last.unit)), h("span", {}, "read ", since(last.at))),
    verdict?.leak && h("span", { class: "why" }, `${verdict.leak}.`),
    verdict && verdict.verdict !== "accepted" && h("span", { class: "soft" }, `Last picture: ${doubted(last ? verdict : { ...verdict, value: null }, step)}`),
  ]);
  if (!one.layout && !one.counters.length && one.latest) lines.push(h("span", { class: "soft" }, "Nobody has said yet where its wheels are."));
  else if (one.layout && !one.counters.length) lines.push(h("span", { class: "soft" }, one.readers ? "Its first picture is being read." : "It is read as soon as a worker is there."));
  return lines.filter(Boolean);
}

/** A meter's card. `capture`: called with its button; null where no picture can be asked for. */
export function card(device, meter, { away, capture }) {
  const id = `${device.device}/${meter.name}`, one = known.get(id), name = meter.label || title(meter.name), { latest } = meter;
  const wrong = latest?.condition && wrongs[latest.condition.verdict];
  const inside = [
    h("span", { class: "picture" },
      latest ? h("img", { src: `api/meter-pictures/${latest.id}`, alt: `Latest picture of meter ${name}`, loading: "lazy" })
        : h("span", { class: "none" }, "No picture yet: it takes one when it starts, then by its schedule."),
      h("span", { class: "badge" }, `${title(meter.kind)} meter`),
      away ? h("span", { class: "badge right" }, away) : wrong && h("span", { class: "badge right alert" }, wrong)),
    h("span", { class: "text" },
      h("span", { class: "line" }, h("span", {}, h("span", { class: "name" }, name), h("span", { class: "soft" }, ` ${device.label || device.device}`)),
        latest && since(latest.captured_at, { class: "soft" })),
      ...reading(one)),
  ];
  return h("li", { class: "meter", "data-meter": id },
    latest ? h("a", { class: "card", href: `#meter=${id}` }, ...inside) : h("div", { class: "card" }, ...inside),
    h("span", { class: "actions" },
      capture && h("button", { class: "button", type: "button", onclick: ({ target }) => capture(target) }, "Take a picture now"),
      latest && one && !one.layout && h("a", { class: "button", href: `#meter=${id}/set-up` }, "Find its wheels")));
}
