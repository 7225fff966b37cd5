// The cloud burst: what it does and why, what it costs, and its switch. Fetched only where one is set up.

import { s, width } from "./chart.js";
import { $, Keyed, api, arrange, clock, count, day, h, minute, post, since, span, words } from "./tools.js";

const MONTH = 31, FIRST = 12, PAUSE = 2000;
const section = $("cloud"), dialog = $("cloud-detail"), cards = new Keyed();
let burst = null, hub = null, shown = "", details = null, every = false, changed = () => {}, switched = null, loaded = 0, timer = 0;

const codes = {
  idle: ["good", "Not needed"], waiting: ["warn", "About to help"], burst: ["good", "Sends clips"], hold: ["good", "Cloud at work"],
  ceiling: ["warn", "At its ceiling"], reconcile: ["good", "Puts in order"], "take-back": ["good", "Takes clips back"],
  "no-gain": ["good", "Not worth it"], forbidden: ["warn", "May not leave"], trouble: ["bad", "Cannot be used"],
  off: ["", "Switched off"], stop: ["", "Stopped"],
};
const word = (code) => codes[code] ?? ["", code];
const dollars = (some) => `$${some > 0 && some < .0095 ? some.toFixed(3) : some.toFixed(2)}`;
const sentence = (text) => text && `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
const when = (time) => (day(time) === "Today" ? clock(time) : new Date(time).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }));
const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
/** Only rented machines cost anything. */
const paid = ({ ceiling_day, ceiling_month }) => ceiling_day + ceiling_month > 0;
const pill = (code) => { const [kind, text] = word(code); return h("span", { class: `pill ${kind}` }, text); };

function machines({ instances, desired, max_instances }) {
  const most = max_instances ? `, ${max_instances} at most` : "";
  if (desired > instances) return `${instances} of ${desired} asked for${most}`;
  return `${instances || "none"}${most}`;
}

/** Money of a day or month as a bar: what is spent, and behind it what is set apart for machines that run. */
function gauge(name, spent, reserved, ceiling) {
  const part = (some) => Math.min(100, ceiling > 0 ? some / ceiling * 100 : 0), apart = reserved ? `, and ${dollars(reserved)} set apart` : "", said = `${dollars(spent)} of ${dollars(ceiling)}${apart}`;
  const bar = h("div", { class: "gauge", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": ceiling, "aria-valuenow": spent, "aria-valuetext": said }, h("span"), h("span"));
  bar.children[0].style.width = `${part(spent)}%`;
  bar.children[1].style.width = `${Math.min(100 - part(spent), part(reserved))}%`;
  return h("div", {}, h("p", { class: "line" }, h("span", {}, name), h("span", { class: "soft" }, said)), bar);
}

const forecast = ({ forecast_day }) => `If it goes on like this, ${dollars(forecast_day)} by the end of the day (UTC).`;

// --- the card --------------------------------------------------------------------------------------

/** Bring the card up to date. `then`: to be called when it was switched. */
export function show(state, then) {
  // What is said of the hub may be half a second old, from before the switch was pressed.
  if (switched && state.burst.on !== switched.on && Date.now() < switched.until) return;
  switched = null;
  [burst, hub, changed] = [state.burst, state, then];
  section.hidden = false;
  if (!section.children.length) build();
  const { state: code, since: from, trouble, on, instances, desired, in_cloud } = burst;
  const [kind, text] = word(code);
  section.querySelector(".pill").className = `pill ${kind}`;
  put(".pill", text);
  arrange(section.querySelector("[data-why]"), [cards.get("why", trouble || burst.reason, (why) => h("span", {}, ...words(sentence(why))))]);
  section.querySelector("[data-why]").classList.toggle("why", Boolean(trouble));
  put("[data-since]", from ? `Since ${when(from)}` : "");
  const facts = [["At home", count(hub.backlog + hub.running, "clip")], ["In the cloud", count(in_cloud, "clip")], ["Machines", machines(burst)]];
  arrange(section.querySelector("dl"), facts.map((one) => cards.get(`fact ${one[0]}`, one, ([name, value]) => fact(name, value))));
  const { spent_today, reserved, ceiling_day, forecast_day } = burst;
  arrange(section.querySelector("[data-money]"), paid(burst) ? [
    cards.get("today", [spent_today, reserved, ceiling_day], () => gauge("Spent today", spent_today, reserved, ceiling_day)),
    cards.get("forecast", forecast_day, () => h("p", { class: "soft" }, forecast(burst)))]
    : [cards.get("free", 0, () => h("p", { class: "soft" }, "The machines are yours: nothing is paid."))]);
  section.querySelector("[role=switch]").checked = on;
  section.querySelector("[data-stop]").disabled = !on && !instances && !desired && !in_cloud;
  const now = JSON.stringify([burst, hub.backlog, hub.running]);
  if (dialog.open && now !== shown) timer ||= setTimeout(load, Math.max(0, loaded + PAUSE - Date.now()));
  shown = now;
}

function put(selector, text) {
  const element = section.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

function build() {
  section.append(h("div", { class: "card text" },
    h("div", { class: "line" }, h("h2", { id: "cloud-title" }, "Cloud"), h("span", { class: "pill" })),
    h("p", { "data-why": "", role: "status" }), h("p", { class: "soft", "data-since": "" }),
    h("dl", { class: "about" }), h("div", { "data-money": "" }),
    h("div", { class: "actions" },
      h("label", { class: "check" }, h("input", { type: "checkbox", role: "switch", onchange: ({ target }) => turn(target.checked ? "on" : "off") }), "Clips may go to the cloud"),
      h("span", { class: "push" }),
      h("button", { class: "button", type: "button", "data-stop": "", onclick: stop }, "Stop now…"),
      h("a", { class: "button", href: "#cloud" }, "Why, and what it cost")),
    h("p", { class: "why", role: "alert", hidden: true })));
  addEventListener("hashchange", route);
  dialog.addEventListener("close", () => {
    [details, every] = [null, false];
    $("cloud-body").replaceChildren();
    if (location.hash === "#cloud") history.replaceState(null, "", location.pathname + location.search);
  });
  setTimeout(route);
}

function stop() {
  const { in_cloud } = burst, ends = paid(burst) ? "Every machine ends at once. " : "";
  const home = in_cloud ? `${count(in_cloud, "clip")} that ${in_cloud === 1 ? "is" : "are"} out will be looked at at home. ` : "";
  if (confirm(`Stop the cloud burst? ${ends}${home}Nothing goes out until you switch it on again.`)) turn("stop");
}

async function turn(what) {
  const said = section.querySelector("[role=alert]");
  said.hidden = true;
  try {
    const { state } = await post(`burst/${what}`, {});
    switched = null;
    show({ ...hub, burst: state }, changed);
    switched = { on: state.on, until: Date.now() + 3000 };
  } catch (error) {
    said.textContent = error.message;
    said.hidden = false;
    section.querySelector("[role=switch]").checked = burst.on;
  }
  changed();
}

// --- at length -------------------------------------------------------------------------------------

function route() {
  if (location.hash !== "#cloud") { if (dialog.open) dialog.close(); return; }
  if (dialog.open) return;
  $("cloud-body").replaceChildren(h("p", { role: "status" }, "Loading…"));
  dialog.showModal();
  load();
}

/** In a storm something is new every half second: that is too often to ask for all of it. */
async function load() {
  [loaded, timer] = [Date.now(), 0];
  try {
    const [found, { days }, { samples }] = await Promise.all([api("burst"), api(`burst/days?limit=${MONTH}`), api("burst/history")]);
    if (!dialog.open) return;
    details = [found, days, samples];
    describe();
  } catch (error) {
    if (dialog.open) $("cloud-body").replaceChildren(h("p", { class: "why", role: "status" }, error.message));
  }
}

const part = (name, ...children) => h("section", { "aria-label": name }, h("h3", {}, name), ...children);
const table = (names, rows) => h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)))),
  h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells)))));

function describe() {
  const [found, days, samples] = details, open = new Set([...$("cloud-body").querySelectorAll("details[open]")].map((one) => one.dataset.part));
  const more = (name, title, ...children) => h("details", { "data-part": name, open: open.has(name) }, h("summary", {}, title), ...children);
  $("cloud-body").replaceChildren(...[now(found), part("The last hours", picture(samples)), decided(found), cost(found, days),
    found.aloft.length > 0 && more("out", `${count(found.aloft.length, "clip")} out now`, out(found)),
    more("rules", "Which cameras may", ...rules(found)), more("measured", "What it reckons with", measured(found))].filter(Boolean));
}

function now({ state, plan }) {
  const { send, machines: asked, dollars: apart } = plan;
  const would = `${send.length ? `${count(send.length, "clip")} would go out${asked == null ? "" : `, to ${count(asked, "machine")}`}${apart ? `; ${dollars(apart)} would be set apart` : ""}` : "nothing would go out"}: ${plan.reason}`;
  return h("div", { class: "now" }, h("p", { class: "row" }, pill(state.state), state.since && h("span", { class: "soft" }, `since ${when(state.since)}`)),
    h("p", { class: state.trouble ? "why" : "" }, ...words(sentence(state.trouble || state.reason))),
    !state.on && h("p", { class: "soft" }, `Were it on, ${sentence(would)}`));
}

function picture(samples) {
  if (!samples.length) return h("p", { class: "soft" }, "Nothing yet: the hub has just begun.");
  const most = (of) => Math.max(...samples.map(of)), waiting = most((one) => one.at_home + one.in_cloud), at_once = most((one) => one.machines);
  const strips = [
    { name: `Clips, ${waiting} at most: `, values: [["at home", "", (one) => one.at_home], ["in the cloud", "more", (one) => one.in_cloud]], tall: 76 },
    { name: `Machines, ${at_once} at most`, values: [["", "more", (one) => one.machines]], tall: 34 },
    ...(paid(burst) ? [{ name: `Spent on the day (UTC), ${dollars(most((one) => one.spent_today))} at most`, values: [["", "more", (one) => one.spent_today]], tall: 34 }] : []),
  ];
  return bands(samples, strips);
}

const LABEL = 18, GAP = 10, AXIS = 20, LEAST_SPAN = 300e3, MINUTES = [1, 2, 5, 10, 15, 30, 60, 120];

/** Each strip's values over the same time, one on top of the other; what is so holds until the next sample. */
function bands(samples, strips) {
  const end = Date.now(), first = Math.max(new Date(samples[0].at).getTime(), end - 6 * 3600e3), begin = Math.min(first, end - LEAST_SPAN);
  const wide = width(), high = strips.reduce((sum, { tall }) => sum + LABEL + tall + GAP, AXIS);
  const x = (time) => ((Math.max(begin, time) - begin) / (end - begin) * wide).toFixed(1);
  const times = [...samples.map(({ at }) => new Date(at).getTime()), end];
  let top = 0;
  const drawn = strips.map(({ name, values, tall }) => {
    const floor = (top += LABEL + tall), sums = samples.map((one) => values.map((_, i) => values.slice(0, i + 1).reduce((sum, [, , of]) => sum + of(one), 0)));
    const most = Math.max(...sums.map((some) => some.at(-1))) || 1, y = (value) => (floor - value / most * tall).toFixed(1);
    top += GAP;
    // The highest first: what lies below is drawn over it.
    const areas = values.map(([, kind], i) => s("path", { class: `area ${kind}`, d: `M${x(times[0])},${floor}${sums.map((some, j) => `V${y(some[i])}H${x(times[j + 1])}`).join("")}V${floor}Z` })).reverse();
    const key = values.flatMap(([of, kind]) => (of ? [s("tspan", { class: `area ${kind}` }, "■ "), `${of} `] : []));
    return [s("text", { x: 0, y: floor - tall - 5 }, name, ...key), ...areas, s("line", { class: "axis", x1: 0, x2: wide, y1: floor, y2: floor })];
  });
  const step = 60e3 * (MINUTES.find((some) => (end - begin) / 60e3 / some <= wide / 70) ?? 120), offset = new Date(end).getTimezoneOffset() * 60e3;
  const ticks = [];
  for (let at = Math.ceil((begin - offset) / step) * step + offset; at <= end; at += step) {
    if (x(at) > 20 && x(at) < wide - 20) ticks.push(s("text", { class: "tick", x: x(at), y: high - 6 }, minute(at)));
  }
  return s("svg", { viewBox: `0 0 ${wide} ${high}`, class: "chart", role: "img", "aria-label": strips.map(({ name, values }) => name + values.map(([of]) => of).join(", ")).join(". ") }, ...drawn.flat(), ...ticks);
}

function decided({ decisions }) {
  const did = ({ sent, taken_back: back, desired }) => [sent && `${count(sent, "clip")} out`, back && `${back} back`, desired != null && `${count(desired, "machine")} asked for`].filter(Boolean).join(", ");
  const rows = decisions.slice(0, every ? decisions.length : FIRST).map((one) => [
    h("td", { class: day(one.at) === "Today" && "figure" }, h("time", { class: "soft", datetime: one.at }, when(one.at))),
    h("td", {}, pill(one.code), " ", ...words(sentence(one.reason)), did(one) && h("p", { class: "soft" }, sentence(did(one))))]);
  return part("What was decided", decisions.length ? table(["From", "What, and why"], rows) : h("p", { class: "soft" }, "Nothing yet: the hub has not looked."),
    decisions.length > rows.length && h("button", { class: "button", type: "button", onclick: () => { every = true; describe(); } }, `Show all ${decisions.length}`));
}

function cost({ state }, days) {
  if (!paid(state) && !days.length) return null;
  const { spent_today, spent_month, reserved, ceiling_day, ceiling_month } = state;
  const rows = days.map((one) => [h("td", { class: "figure" }, one.day), h("td", { class: "figure" }, dollars(one.dollars)), h("td", { class: "figure" }, one.machines), h("td", { class: "figure" }, span(one.seconds))]);
  return part("What it cost", h("div", { class: "money" }, gauge("Today", spent_today, reserved, ceiling_day), gauge("This month", spent_month, reserved, ceiling_month)),
    h("p", { class: "soft" }, `${forecast(state)} The ceilings are never passed: what a machine may cost is set apart before it starts, and what it did not need comes back some minutes after its end.`),
    rows.length ? table(["Day (UTC)", "Spent", "Machines", "They ran"], rows) : h("p", { class: "soft" }, state.spent_today ? "Days are listed here by what is written in the ledger, every two minutes while machines run." : "Nothing was spent yet."),
    rows.length > 0 && h("p", { class: "soft" }, "By the hub's own ledger; the bill has the last word. ", h("a", { href: "api/burst/ledger" }, "Every line of it"), "."));
}

function out({ aloft }) {
  return table(["Sent", "Camera", "Clip"], aloft.map((one) => [
    h("td", { class: "figure" }, since(one.sent_at)), h("td", {}, `${one.device} / ${one.camera}${one.returns ? `, for the ${one.returns === 1 ? "second" : "third"} time` : ""}`),
    h("td", {}, h("a", { href: `api/clips/${one.clip}/media`, target: "_blank" }, "Watch"))]));
}

const may = { never: "never leaves the house", overflow: "goes out when it would be late", always: "always goes out" };
const rules = ({ default: other, rules: said }) => [
  h("dl", { class: "about" }, ...Object.entries(said).map(([camera, rule]) => fact(camera, `What it records ${may[rule]}`)),
    fact(Object.keys(said).length ? "Others" : "All cameras", `What they record ${may[other].replace("goes", "go").replace("leaves", "leave")}`)),
  h("p", { class: "soft" }, "A camera's own setting, beside its live picture, may be stricter.")];

const measured = ({ policy, boot, clip_seconds, upload_rate, dropped }) => h("dl", { class: "about" },
  fact("A machine works after", span(boot)), fact("It takes for a clip of 5 s", span(clip_seconds)), fact("Up to the cloud", `${(upload_rate / 1e6).toFixed(1)} MB/s`),
  fact("Rule", policy === "threshold" ? "threshold: what is above a number goes out" : "drain: what would be late goes out"),
  dropped > 0 && fact("Results that came late or twice", count(dropped, "time")));
