// One meter: what it shows, what was read in its picture, what was used, its history, and what its owner says.

import { bars, edges, s, used } from "./chart.js";
import { called, counter as windows, doubted, flow, number, status, verdicts } from "./meters.js";
import { $, api, clock, day, h, post, put, query, since, title } from "./tools.js";

const PAGE = 25, SPANS = { days: 30, hours: 48 };
const dialog = $("meter"), body = $("meter-body");
let id = "", name = "", spread = "days", rows = [], next = null, editor = null, changed = () => {}, layout = null, asked = 0, missing = null;

const at = (path) => `meters/${id}/${path}`;
const mine = () => status(id)?.counters.find((one) => one.counter === name);
const unit = () => mine()?.unit || layout?.unit || "";
const scale = () => ({ step: mine()?.step, span: mine()?.span });

/** `then`: to be called when something was told to the hub. */
export function setUp(then) {
  changed = then;
  // A box that is dragged beyond the picture is no wish to leave.
  dialog.addEventListener("click", (click) => { if (editor && click.target === dialog) click.stopImmediatePropagation(); }, true);
  dialog.addEventListener("cancel", (event) => { if (editor?.dirty && !confirm("Leave without saving the boxes?")) event.preventDefault(); });
  dialog.addEventListener("close", () => {
    [editor, id] = [null, ""];
    body.replaceChildren();
    if (location.hash.startsWith("#meter=")) history.replaceState(null, "", location.pathname + location.search);
  });
}

/** Show a meter, "device/meter"; `#meter=<device>/<meter>` in the address leads here, `…/set-up` to its boxes. */
export async function open(wanted, setting_up) {
  if (wanted === id && dialog.open && Boolean(editor) === setting_up && !missing) return;
  if (wanted !== id) [id, name, rows] = [wanted, "", []];
  [editor, missing] = [null, null];
  const one = status(id);
  $("meter-title").textContent = one ? `Meter ${called(one)}` : "Meter";
  if (!dialog.open) dialog.showModal();
  if (!one) {
    missing = () => open(wanted, setting_up);
    body.replaceChildren(h("p", { role: "status" }, "No such meter is known yet."));
    return;
  }
  if (!setting_up) { await load(); return; }
  body.replaceChildren(h("p", { role: "status" }, "Loading its picture…"));
  try {
    const { edit } = await import("./calibrate.js");
    editor = await edit(one, (saved) => { editor = null; if (saved) changed(); location.replace(`#meter=${id}`); });
    body.replaceChildren(editor.element);
  } catch (error) {
    body.replaceChildren(h("p", { class: "why", role: "status" }, error.message));
  }
}

/** Whether somebody writes, or has opened something here. */
const busy = () => body.querySelector("details[open], td form, form:focus-within") !== null;

/** Something is known anew: show it, unless somebody is busy here, or drags boxes. */
export function refresh() {
  if (!dialog.open) return;
  if (missing) missing();
  else if (!editor && !busy()) load(busy);
}

/** `given_up` is asked when the answers have come: meanwhile somebody may have begun to write. */
async function load(given_up = () => false) {
  const mark = ++asked, times = edges(spread, SPANS[spread]), after = new Date(times[0].getTime() - 86400e3).toISOString();
  try {
    const [page, where, accepted] = await Promise.all([
      api(query(at("readings"), { counter: name, limit: Math.max(PAGE, Math.min(500, rows.length)) })), api(at("layout")), accepted_since(after)]);
    if (mark !== asked || !dialog.open || editor || given_up()) return;
    [rows, next, layout] = [page.readings, page.next, where.layout];
    show(where, accepted, times);
  } catch (error) {
    if (mark === asked && !given_up()) body.replaceChildren(h("p", { class: "why", role: "status" }, error.message));
  }
}

/** Accepted readings from a time on; the chart needs no more than the newest 1500. */
async function accepted_since(after) {
  const found = [];
  for (let cursor = null, pages = 0; pages < 3; pages++) {
    const page = await api(query(at("readings"), { counter: name, verdict: "accepted", after, limit: 500, cursor }));
    found.push(...page.readings);
    cursor = page.next;
    if (!cursor) break;
  }
  return found;
}

// --- what is shown ---------------------------------------------------------------------------------

function show(where, accepted, times) {
  const one = status(id), now = mine(), amounts = used(accepted.filter((row) => row.total != null), times);
  body.replaceChildren(...[
    one.counters.length > 1 && h("label", { class: "setting" }, "Counter ", h("select", { onchange: ({ target }) => { name = target.value; rows = []; load(); } },
      ...one.counters.map(({ counter }) => h("option", { value: counter, selected: counter === name }, counter ? title(counter) : "Main")))),
    head(now),
    picture(one, now),
    h("div", { class: "actions" },
      where.configured ? h("span", { class: "soft" }, "Its boxes are set in meerkat.yaml.")
        : one.latest && h("a", { class: "button", href: `#meter=${id}/set-up` }, layout ? "Set the boxes" : "Find its wheels"),
      h("a", { class: "button", href: `api/${at("readings.csv")}`, download: `${id.replace("/", "-")}.csv` }, "All readings as CSV"),
      one.latest && h("a", { class: "button", href: `api/meter-pictures/${one.latest.id}`, target: "_blank" }, "The picture")),
    accepted.length > 1 && h("section", { "aria-label": "What was used" },
      h("div", { class: "heading" }, h("h3", {}, "Used"), h("div", { class: "actions" }, ...Object.keys(SPANS).map((kind) =>
        h("button", { class: "button", type: "button", "aria-pressed": String(kind === spread), onclick: () => { spread = kind; load(); } }, `${SPANS[kind]} ${kind}`)))),
      bars(amounts, times, spread, unit())),
    (now || layout) && h("section", { "aria-label": "What you know" }, h("h3", {}, "Tell what it shows"), telling(now), exchange(now), plausible()),
    rows.length > 0 && table(),
  ].filter(Boolean));
}

function head(now) {
  if (!now?.reading) return h("div", { class: "meter-head" },
    now?.verdict?.value != null && h("p", { class: "big doubtful" }, windows(now.verdict.value, now.verdict.unit, scale())),
    h("p", { class: "soft" }, !layout ? "Nobody has said yet where its wheels are: find them, look whether the boxes fit, and save."
      : `There is no reading that can be trusted yet. ${now?.verdict ? `The last picture: ${doubted({ ...now.verdict, value: null }, now.step)} You can look at the meter and tell what it shows, below.` : ""}`));
  const { reading, verdict, value } = now, [kind, word] = verdicts[verdict?.verdict ?? "accepted"];
  return h("div", { class: "meter-head" },
    h("p", { class: "big" }, windows(value ?? reading.value, value == null ? reading.unit : unit(), scale())),
    h("p", { class: "line" }, h("span", {}, flow(reading.flow, reading.unit), " ", h("span", { class: "soft" }, "read ", since(reading.at))), h("span", { class: `pill ${kind}` }, word)),
    Math.abs(reading.total - reading.value) > 1e-9 && h("p", { class: "soft" }, `Counted over all meters and rollovers: ${number(reading.total, now.step)} ${reading.unit}.`),
    verdict?.leak && h("p", { class: "why" }, `${verdict.leak}.`),
    verdict && verdict.verdict !== "accepted" && h("p", { class: "why" }, `The last picture: ${doubted(verdict, now.step)}`,
      verdict.expected && ` From ${number(verdict.expected[0], now.step)} to ${number(verdict.expected[1], now.step)} ${verdict.unit} was to be expected.`));
}

/** The latest picture, as the reader turns it, with the boxes and what was read in each. */
function picture(one) {
  if (!one.latest) return h("p", { class: "empty" }, "No picture yet: it takes one when it starts, then by its schedule.");
  const source = `api/meter-pictures/${one.latest.id}`, image = new Image(), stage = h("div", { class: "canvas" }), of = rows.find((row) => row.id === one.latest.id);
  image.alt = `Latest picture of meter ${called(one)}`;
  image.src = source;
  if (!layout) { stage.append(image); return stage; }
  const seen = of ? [...of.wheels, ...of.needles] : [], counters = [layout, ...Object.values(layout.counters ?? {})];
  const chosen = name ? layout.counters?.[name] : layout, boxes = chosen ? [...chosen.digits, ...chosen.pointers] : [];
  image.onload = () => {
    const width = layout.width || image.naturalWidth, height = layout.height || image.naturalHeight, size = width / 36;
    stage.replaceChildren(s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${image.alt}, with what was read in each box: ${seen.map(({ digit }) => digit ?? "nothing").join(", ")}` },
      s("image", { href: source, width, height, transform: `rotate(${layout.rotation_deg} ${width / 2} ${height / 2})` }),
      ...counters.flatMap((each) => [...each.digits.map((box) => [box, 2]), ...each.pointers.map((box) => [box, box[2] / 2])].map(([[x, y, wide, tall], rx]) =>
        s("g", { class: `box${each === chosen ? "" : " other"}` }, s("rect", { x, y, width: wide, height: tall, rx })))),
      ...boxes.map(([x, y, wide], i) => seen[i] && s("text", { class: seen[i].confidence < .5 ? "doubt" : "", x: x + wide / 2, y: y - size / 4, "font-size": size }, seen[i].digit ?? "?"))));
  };
  return stage;
}

// --- the history -----------------------------------------------------------------------------------

const kinds = { owner: "you said so", exchange: "meter exchanged" };

function table() {
  const more = h("button", { class: "button", type: "button", onclick: older }, "Older readings");
  more.hidden = !next;
  return h("section", { "aria-label": "Readings" }, h("h3", {}, "Readings"),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...["When", "Shows", "Flow", "", ""].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", { id: "meter-rows" }, ...rows.map(line)))), more);
}

async function older({ target }) {
  target.disabled = true;
  try {
    const page = await api(query(at("readings"), { counter: name, limit: PAGE, cursor: next }));
    rows.push(...page.readings);
    next = page.next;
    $("meter-rows").append(...page.readings.map(line));
    target.hidden = !next;
  } finally { target.disabled = false; }
}

function line(row) {
  const [kind, word] = verdicts[row.verdict], own = row.kind !== "picture", said = own ? kinds[row.kind] : row.source === "owner" ? "corrected by you" : word.toLowerCase();
  const forms = h("div", { class: "actions" }), trouble = h("p", { class: "why", role: "status" });
  const tell = (path, what) => async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    try { await told(await post(at(`readings/${row.id}/${path}`), { ...what(), counter: name || null })); } catch (error) { trouble.textContent = error.message; }
  };
  const correct = () => {
    const input = h("input", { type: "number", step: "any", min: 0, required: true, "aria-label": "What the picture shows", value: row.value ?? "" });
    forms.replaceChildren(h("form", { class: "actions", onsubmit: tell("correct", () => ({ value: input.valueAsNumber })) },
      row.picture && h("a", { href: `api/meter-pictures/${row.id}`, target: "_blank" }, "Picture"), input, h("button", { class: "button main" }, "It shows this"),
      h("button", { class: "button", type: "button", onclick: tell("correct", () => ({ value: null })) }, "It shows no reading"),
      h("button", { class: "button", type: "button", onclick: () => forms.replaceChildren(...buttons()) }, "Cancel"), trouble));
    input.select();
  };
  const buttons = () => [
    !own && h("button", { class: "button", type: "button", "aria-label": `Correct the reading of ${clock(row.at)}`, onclick: correct }, "Correct"),
    (own || row.source === "owner") && h("button", { class: "button", type: "button", onclick: tell("undo", () => ({})) }, "Take back"), trouble].filter(Boolean);
  forms.append(...buttons());
  return h("tr", { "data-reading": row.id }, h("td", {}, `${day(row.at)}, ${clock(row.at)}`),
    h("td", { class: "figure" }, row.value == null ? "–" : `${number(row.value, mine()?.step)} ${row.unit}`),
    h("td", { class: "figure" }, flow(row.flow, row.unit)), h("td", {}, h("span", { class: `pill ${kind}` }, said), row.reason && h("p", { class: "soft" }, row.reason)), h("td", {}, forms));
}

// --- what the owner says ---------------------------------------------------------------------------

/** The hub has taken it: its notes, and everything anew. */
async function told({ notes }) {
  document.activeElement?.blur();
  changed();
  await load();
  if (notes.length) body.prepend(h("p", { class: "said why", role: "status" }, notes.join(" ")));
}

function form(label, path, fields, button) {
  const trouble = h("p", { class: "why", role: "status" });
  const send = async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    const what = Object.fromEntries(Object.entries(fields()).filter(([, value]) => value !== undefined));
    try { await told(await post(at(path), { ...what, counter: name || null })); } catch (error) { trouble.textContent = error.message; }
  };
  return h("form", { class: "tell", "data-form": path, onsubmit: send }, ...label, h("button", { class: "button" }, button), trouble);
}

const figure = (label, properties = {}) => {
  const input = h("input", { type: "number", step: "any", min: 0, ...properties });
  return [input, h("label", {}, `${label} `, input)];
};

function telling(now) {
  const [input, label] = figure(`It shows now (${unit()})`, { required: true, value: now?.value ?? now?.verdict?.value ?? "" });
  return form([label], "set", () => ({ value: input.valueAsNumber }), "Tell");
}

function exchange(now) {
  const [last, of_old] = figure("The old one showed last", { placeholder: now?.value ?? "" }), [first, of_new] = figure("The new one began with", { value: 0 });
  const when = h("input", { type: "datetime-local" });
  return h("details", {}, h("summary", {}, "The meter was exchanged"),
    h("p", { class: "soft" }, "The total goes on from what the old one showed. Left empty, that is its last reading, and the time is now."),
    form([of_old, of_new, h("label", {}, "When ", when)], "exchange", () => ({
      final: last.value === "" ? undefined : last.valueAsNumber, start: first.value === "" ? null : first.valueAsNumber,
      at: when.value ? new Date(when.value).toISOString() : undefined }), "The new meter is in"));
}

// --- what is plausible -----------------------------------------------------------------------------

const RULES = [["unit", "Unit to publish", "text"], ["max_flow", "Largest flow, an hour"], ["leak_hours", "A leak after so many hours of flow"], ["night_flow", "Flow of a night that is a leak"],
  ["no_flow_days", "Standing still, days"], ["silent_hours", "Silent, hours"], ["calorific_value", "kWh in a m³ of gas"], ["zone", "Time zone, as Europe/Berlin", "text"]];

/** Limits of the meter's own; what is empty goes by its kind. Loaded when it is opened. */
function plausible() {
  const inside = h("div");
  const load_them = async () => {
    if (inside.children.length) return;
    try {
      const { settings, configured } = await api(at("settings"));
      inside.replaceChildren(limits(settings, configured));
    } catch (error) {
      inside.replaceChildren(h("p", { class: "why" }, error.message));
    }
  };
  return h("details", { "data-limits": "", ontoggle: ({ target }) => { if (target.open) load_them(); } }, h("summary", {}, "What is plausible, and what is a leak"), inside);
}

function limits(settings, configured) {
  const trouble = h("p", { class: "said", role: "status" });
  const inputs = RULES.map(([field, label, type = "number"]) => {
    const input = h("input", { type, step: "any", min: 0, value: settings[field] ?? "", placeholder: "as usual", name: field, disabled: configured });
    return [field, input, h("label", {}, `${label} `, input)];
  });
  const send = async (event) => {
    event.preventDefault();
    const told_now = Object.fromEntries(inputs.filter(([, input]) => input.value !== "").map(([field, input]) => [field, input.type === "number" ? input.valueAsNumber : input.value]));
    const kept = Object.fromEntries(Object.entries(settings).filter(([field, value]) => value != null && !RULES.some(([known]) => known === field)));
    try {
      await put(at("settings"), { ...kept, ...told_now });
      [trouble.textContent, trouble.className] = ["Saved. What is known of the meter was judged again.", "said"];
      changed();
    } catch (error) {
      [trouble.textContent, trouble.className] = [error.message, "said why"];
    }
  };
  return h("form", { class: "tell", "data-form": "settings", onsubmit: send }, ...inputs.map(([, , label]) => label),
    configured ? h("p", { class: "soft" }, "They are set in meerkat.yaml.") : h("button", { class: "button" }, "Save"), trouble);
}
