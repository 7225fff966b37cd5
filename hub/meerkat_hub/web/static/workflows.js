// Workflows and the nodes on which they run: what runs where, what became of frames, what was refused.

import { $, Keyed, api, arrange, count, h, percent, since, title, words } from "./tools.js";

const cards = new Keyed();
let workflows = [], nodes = [];

const fps = (rate) => rate.toLocaleString(undefined, { maximumFractionDigits: rate < 10 ? 1 : 0 });
const ms = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)}\u00a0ms` : `${fps(seconds)}\u00a0s`);
const why = ({ state }) => state.reason.replace(/^workflow \S+ is refused: /, "");
const each = (rates, name = title) => Object.entries(rates).map(([one, rate]) => `${name(one)} ${fps(rate)}/s`).join(", ");
const head = (name, kind, word) => h("div", { class: "line" }, h("span", { class: "name" }, name), h("span", { class: `pill ${kind}` }, word));
const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
const said = { running: ["good", "Runs"], starting: ["warn", "Starts"], refused: ["bad", "Refused"] };
const fates = {
  surplus: "more than asked for", unmeasured: "not looked at by the device", full: "too many waited",
  late: "too late", gone: "workflow ended", failed: "failed", lost: "picture lost",
};

export async function load() {
  [workflows, nodes] = await Promise.all([api("workflows"), api("nodes")]);
  show();
}

/** What is to be looked at, for the notices on top. */
export const refused = () => workflows.filter(({ state }) => state.state === "refused")
  .map((one) => `Workflow ${title(one.id)} does not run: ${why(one)}.`);

/** Workflows that will never see or recognise anything as things are, for the notices on top. */
export function idle(cameras, people) {
  const list = [];
  for (const { id, wanted, state } of workflows) {
    const say = (text) => list.push(`Workflow ${title(id)}${text}`);
    if (state.warning) say(`: ${state.warning}.`);
    const absent = Object.keys(wanted.cameras).filter((camera) => !cameras.includes(camera));
    if (cameras.length && absent.length) say(` waits for ${absent.join(", ")}: no such camera has introduced itself.`);
    const { allowed = [], forbidden = [] } = wanted.decision;
    const strangers = people ? [...allowed, ...forbidden].filter((name) => !people.includes(name)) : [];
    if (strangers.length) say(` cannot recognise ${strangers.join(", ")}: not enrolled yet. \`meerkat faces enrol\` does it.`);
  }
  return list;
}

function show() {
  const runs = workflows.filter(({ state }) => state.state !== "refused").length, online = nodes.filter((node) => node.online).length;
  $("work").hidden = !workflows.length && !nodes.length;
  if (workflows.length && !$("work").dataset.seen) $("work").open = $("work").dataset.seen = true;
  $("work-title").textContent = `${workflows.length ? `${runs} of ${count(workflows.length, "workflow")} ${workflows.length === 1 ? "runs" : "run"}` : "No workflow"} · ${count(online, "node")} online`;
  arrange($("workflows"), workflows.map((one) => cards.get(`workflow ${one.id}`, one, workflowCard)));
  arrange($("nodes"), nodes.map((one) => cards.get(`node ${one.worker}`, one, nodeCard)));
}

function workflowCard({ id, wanted, state }) {
  const [kind, word] = said[state.state], { frames } = state;
  const where = (task) => fact(title(task), state.nodes.filter((one) => one.task === task).map(({ node, share, capacity, ready }) =>
    `${node}: ${fps(share)} of ${fps(capacity)} frames/s${ready ? "" : " (loading)"}`).join("; "));
  const trouble = state.state === "refused" ? why({ state }) : state.warning;
  const n = (fate) => (frames[fate] ?? 0).toLocaleString();
  const dropped = Object.entries(fates).filter(([fate]) => frames[fate]).map(([fate, text]) => `${n(fate)} ${text}`);
  const free = each(state.capacity);
  return h("li", {}, h("div", { class: "card text", "data-workflow": id },
    head(title(id), kind, word),
    trouble && h("p", { class: "why" }, ...words(`${trouble}.`)),
    h("dl", { class: "about" },
      fact("Cameras", each(state.cameras, String)),
      fact("Asked for", `${fps(state.flow)} frame${state.flow === 1 ? "" : "s"}/s within ${ms(state.max_delay)}`),
      free && fact(state.state === "refused" ? "Free now" : "Free when it began", free),
      state.delay != null && fact("Takes", ms(state.delay)),
      ...[...new Set(state.nodes.map(({ task }) => task))].map(where),
      fact("Rule", title(wanted.decision.rule)),
      frames.received && fact("Frames", `${n("received")} received, ${n("nothing")} without anything of interest, ${n("decided")} decided`),
      frames.incomparable && fact("Not comparable", count(frames.incomparable, "face")),
      dropped.length > 0 && fact("Dropped", dropped.join(", ")),
      frames.events && fact("Events", `${n("events")}, ${count(frames.alerts ?? 0, "alert")}`),
      fact("Since", since(state.since)))));
}

function nodeCard(node) {
  const doing = node.serving ? `${title(node.serving)}${node.task && node.task !== node.serving ? `, is to load ${title(node.task)}` : ""}` : "all of them at once";
  return h("li", {}, h("div", { class: "card text", "data-node": node.worker },
    head(node.worker, ...(node.online ? ["good", "Online"] : ["bad", "Offline"])),
    h("dl", { class: "about" },
      (node.hardware || node.host) && fact("Machine", [node.hardware, node.host].filter(Boolean).join(", ")),
      fact("Measured", each(node.capacity) || "no task"),
      fact("Serves", doing),
      node.workflows.length > 0 && fact("Works for", node.workflows.map(title).join(", ")),
      node.round_trip > 0 && fact("Round trip", ms(node.round_trip)),
      node.load != null && fact("Busy", percent(Math.min(1, node.load))),
      node.temperature != null && fact("Temperature", `${Math.round(node.temperature)} °C`),
      node.memory_free != null && fact("Memory free", `${Math.round(node.memory_free / 1e6).toLocaleString()} MB`),
      node.energy != null && fact("Power", `${fps(node.energy)} W`),
      fact("Available", percent(node.availability)))));
}
