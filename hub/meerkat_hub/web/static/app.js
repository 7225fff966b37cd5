// The page: how all is, live pictures, meters and events, kept up to date by server-sent events.

import * as detail from "./detail.js";
import * as gadgets from "./devices.js";
import * as own from "./meter.js";
import * as meters from "./meters.js";
import * as people from "./people.js";
import * as settings from "./settings.js";
import * as work from "./workflows.js";
import { s } from "./chart.js";
import { follow } from "./stream.js";
import { $, Keyed, ago, api, arrange, clock, count, day, h, minute, percent, post, query, since, soon, span, tick, title, words } from "./tools.js";

// So few at first that the devices below are not far away.
const FIRST = 12, PAGE = 24, OPENED = Date.now();
let state = null, devices = [], labels = [], events = [], latest = null, next = null, connected = null;
let watched = "", cloud = null;
const cards = new Keyed(), pictures = new Map(), awaited = new Map(), moving = new Map(), troubles = new Map();
const key = (device, thing) => `${device}/${thing}`;
const { absent, named } = gadgets;

/** What people call the camera of an event; with its device where two have the same name. */
function cameraOf({ device, camera }) {
  const all = devices.flatMap((one) => one.cameras.map((thing) => [one, thing]));
  const mine = all.find(([one, thing]) => one.device === device && thing.name === camera);
  const name = mine ? named(mine[1]) : title(camera);
  return all.filter(([, thing]) => named(thing) === name).length > 1 ? `${name} (${mine?.[0].label || device})` : name;
}

// --- how it is -------------------------------------------------------------------------------------

function notices() {
  const list = [];
  const bad = (text) => list.push(["bad", text]), warn = (text) => list.push(["warn", text]);
  if (connected === false) bad("The connection to the hub is lost; trying again…");
  else for (const text of new Set(troubles.values())) bad(text);
  if (!state) return list;
  if (!state.connected) bad(`The hub is not connected to the MQTT broker; it goes on trying. ${state.broker || "Look whether the broker runs."}`);
  else if (!state.ok) bad(state.reason);
  if (!state.workers.length) warn("No worker is online. Clips are kept and wait until one comes: start one with `meerkat worker`.");
  for (const text of [...state.room, ...work.refused()]) warn(text);
  const cameras = devices.flatMap((device) => device.cameras.map((camera) => key(device.device, camera.name)));
  for (const text of work.idle(cameras, people.names())) warn(text);
  for (const text of [...meters.alarms(), ...meters.unread()]) warn(text);
  const { trouble, doubt, state: burst, reason } = state.hub.burst ?? {};
  if (trouble) warn(`The cloud cannot help, the hub goes on at home: ${trouble}`);
  if (doubt) warn(`What may go to the cloud: ${doubt}.`);
  if (burst === "ceiling") warn(`The cloud is at its ceiling: ${reason}.`);
  if (state.oldest_wait > 60) warn(`${count(state.totals.waiting, "clip")} wait to be looked at, the oldest for ${span(state.oldest_wait)}.`);
  for (const device of devices) {
    if (device.availability === "offline") warn(`Device ${device.label || device.device} is offline.`);
    for (const camera of device.cameras) {
      if (late(device, camera)) warn(`Camera ${named(camera)} of ${device.label || device.device} ${silent(device, camera)}. The device's log says why.`);
    }
    for (const { what, where, remedy, at } of device.errors) {
      if (Date.now() - new Date(at) < 3600e3) warn(`${device.label || device.device}: ${where ? `${where}: ` : ""}${what}. ${remedy} (${ago(at)})`);
    }
  }
  for (const text of state.hints) list.push(["hint", text]);
  return list;
}

function showState() {
  const list = notices(), serious = list.filter(([kind]) => kind !== "hint");
  const worst = serious.some(([kind]) => kind === "bad") ? "bad" : serious.length ? "warn" : "good";
  const pill = $("status"), text = connected === false ? "Reconnecting…" : !state && worst === "good" ? "Loading…" : worst === "good" ? "All is well" : count(serious.length, "thing to look at", "things to look at");
  if (pill.textContent !== text) pill.textContent = text;
  pill.className = `pill ${worst}`;
  arrange($("notices"), list.map(([kind, line]) => cards.get(`notice ${line}`, kind, () => h("li", { class: kind }, ...words(line)))));
  if (!state) return;
  $("add").classList.toggle("go", state.demo);
  const { totals, workers } = state;
  const looked = totals.done + totals.failed;
  const facts = [
    ["Broker", state.connected ? "connected" : "not connected"],
    [count(workers.length, "worker"), workers.length ? workers.map((one) => speed(one, workers)).join("; ") : "none online"],
    ["Waiting", count(totals.waiting, "clip")],
    ["Looked at", `${count(looked, "clip")}${totals.failed ? `, ${totals.failed.toLocaleString()} failed` : ""}`],
    totals.expired && ["Given up", count(totals.expired, "clip")],
    totals.refused && ["Refused", count(totals.refused, "file")],
  ].filter(Boolean);
  arrange($("facts"), facts.map((fact) => cards.get(`fact ${fact[0]}`, fact, ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
  $("software").textContent = state.hub.software ? `Meerkat ${state.hub.software}` : "";
}

/** A worker in a few words: its machine, or its own name where two are on one; the nodes below say more. */
function speed(worker, workers) {
  const rate = (task) => `${task.frames_per_second.toFixed(task.frames_per_second < 10 ? 1 : 0)}`;
  const name = ({ model }) => (model.fallback ? "built-in person detector" : model.name);
  const tasks = worker.tasks.length > 1 ? worker.tasks.map((task) => `${name(task)} ${rate(task)}/s`)
    : worker.tasks.map((task) => `${name(task)}${task.model.fallback ? "" : ` on ${task.model.engine}`}, ${rate(task)} frames/s`);
  const alone = worker.host && workers.filter((one) => one.host === worker.host).length === 1;
  return `${alone ? worker.host : worker.worker}: ${tasks.join(", ") || "no task"}`;
}

/** The cloud burst's part of the page is fetched where one is set up. */
async function showCloud() {
  if (state?.hub.burst) (await (cloud ??= import("./burst.js"))).show(state.hub, () => refresh.state(true));
  else $("cloud").hidden = true;
}

/** Fetched when wanted. */
const cameras = async (what, id) => (await import("./cameras.js"))[what](id);

// --- devices ---------------------------------------------------------------------------------------

function showDevices() {
  const cameras = devices.flatMap((device) => device.cameras.map((camera) => [device, camera]));
  const pictured = devices.flatMap((device) => device.meters.map((meter) => [device, meter]));
  $("cameras-empty").hidden = cameras.length + pictured.length > 0;
  arrange($("cameras"), [...cameras.map(([device, camera]) => {
    const id = key(device.device, camera.name);
    if (camera.picture_at && !(pictures.get(id) > camera.picture_at)) pictures.set(id, camera.picture_at);
    moving.set(id, camera.motion);
    if (camera.late_after == null) awaited.set(id, null);
    else if (awaited.get(id) === null) awaited.set(id, Date.now());
    const { device: name, label, availability, next_wake } = device;
    return cards.get(`camera ${id}`, [camera.name, camera.label, camera.ended, name, label, availability, next_wake, pictures.has(id), late(device, camera)], () => cameraCard(device, camera, id));
  }), ...pictured.map(([device, meter]) => {
    const id = key(device.device, meter.name);
    return cards.get(`meter ${id}`, [device.device, device.availability, device.next_wake, meter, meters.shows(id)], () => meterCard(device, meter));
  })]);
  gadgets.show(devices);
  if ($("live").open) settings.refresh();
  for (const [device, camera] of cameras) live(key(device.device, camera.name));
  options("camera", cameras.map(([device, camera]) => [key(device.device, camera.name), `${named(camera)} (${device.label || device.device})`]));
}

/** Whether a camera should have sent a picture by now. One that has just come back has as long again. */
function late({ device }, camera) {
  const id = key(device, camera.name), last = pictures.get(id) ?? camera.picture_at;
  const from = Math.max(last ? new Date(last) : OPENED, awaited.get(id) ?? 0);
  return camera.late_after != null && Date.now() - from > camera.late_after * 1000;
}

function silent({ device }, camera) {
  const time = pictures.get(key(device, camera.name));
  if (!time) return "has sent no picture";
  return `has sent no picture since ${day(time) === "Today" ? "" : `${day(time)}, `}${minute(time)}`;
}

/** What its device says of a camera that gives no picture. */
function broken(device, camera) {
  const told = device.errors.find(({ where }) => where.startsWith(`camera ${camera.name},`));
  return told && `No picture: ${told.what}.`;
}

function cameraCard(device, camera, id) {
  const name = named(camera), away = absent(device) || (camera.ended && "replayed to its end") || (late(device, camera) && silent(device, camera).replace("has sent ", ""));
  return h("li", {}, h("button", { class: `card${away ? " stale" : ""}`, type: "button", "data-camera": id, onclick: () => watch(id, name) },
    h("span", { class: "picture" },
      pictures.has(id) ? h("img", { alt: `Live picture of ${name}` }) : h("span", { class: "none" }, broken(device, camera) ?? (away ? "No picture yet." : "No picture yet: the first one comes within 30 seconds.")),
      h("span", { class: "badge motion", hidden: true }, "Motion"),
      away && h("span", { class: "badge right" }, away)),
    h("span", { class: "text line" }, h("span", {}, h("span", { class: "name" }, name), h("span", { class: "soft" }, ` ${device.label || device.device}`)),
      h("span", { class: "soft" }))));
}

/** Bring a camera's picture, time and motion up to date in its card. */
function live(id) {
  const card = document.querySelector(`[data-camera="${id}"]`), time = pictures.get(id);
  if (!card) return;
  card.querySelector(".motion").hidden = !moving.get(id);
  const image = card.querySelector("img");
  if (!time || document.hidden) return;
  if (!image) { refresh.devices(); return; }
  const source = `api/cameras/${id}/picture?t=${encodeURIComponent(time)}`;
  if (image.getAttribute("src") === source) return;
  image.src = source;
  if (card.classList.contains("stale")) refresh.devices();
  card.querySelector(".line > .soft").replaceChildren(since(time));
  if (watched === id) {
    $("live-picture").src = source;
    $("live-time").replaceChildren("Taken ", since(time), moving.get(id) ? ", something moves" : "");
  }
}

function watch(id, name) {
  watched = id;
  $("live-title").textContent = name;
  $("live-picture").alt = `Live picture of ${name}`;
  if (pictures.has(id)) {
    $("live-picture").src = `api/cameras/${id}/picture?t=${encodeURIComponent(pictures.get(id))}`;
    $("live-time").replaceChildren("Taken ", since(pictures.get(id)));
  }
  $("live").showModal();
  settings.open(id);
  cameras("beside", id);
}

function meterCard(device, meter) {
  const away = absent(device), can = !away && meter.settings.some((setting) => setting.name === "capture");
  return meters.card(device, meter, { away, capture: can && ((button) => capture(button, key(device.device, meter.name))) });
}

/** The new picture brings a new card, with a fresh button; without one this button comes back. */
async function capture(button, id) {
  button.disabled = true;
  button.textContent = "Taking a picture…";
  await careful(`capture ${id}`, () => post(`devices/${id}/capture`, { value: "PRESS" }))();
  setTimeout(() => Object.assign(button, { disabled: false, textContent: "Take a picture now" }), troubles.has(`capture ${id}`) ? 0 : 30e3);
}

// --- events ----------------------------------------------------------------------------------------

const filters = () => {
  const { camera, label, kept } = $("filters").elements;
  const [device, name] = camera.value.split("/");
  return { device, camera: name, label: label.value, kept: kept.checked };
};

/** What happened last, in a line on top: the newest event, and who rang. */
function headline() {
  if (!Object.values(filters()).some(Boolean)) latest = events[0] ?? null;
  const rang = devices.flatMap((device) => device.sensors).filter((sensor) => sensor.pressed_at)
    .sort((a, b) => b.pressed_at.localeCompare(a.pressed_at))[0];
  const said = [
    latest && [latest.start_time, `${latest.identity || title(latest.label)} at ${cameraOf(latest)}`, `#event=${latest.id}`],
    rang && [rang.pressed_at, `${named(rang)} pressed`],
  ].filter(Boolean).sort(([a], [b]) => b.localeCompare(a));
  $("headline").hidden = !said.length;
  arrange($("headline"), said.map((one) => cards.get(`said ${one[2] ? "event" : "press"}`, one, ([time, text, href]) =>
    h("span", {}, href ? h("a", { href }, text) : h("b", {}, text), " ", since(time, { class: "soft" })))));
}

function showEvents() {
  headline();
  const nodes = [];
  let last = "";
  for (const event of events) {
    const heading = day(event.start_time);
    if (heading !== last) nodes.push(cards.get(`day ${heading}`, heading, () => h("li", { class: "day" }, heading)));
    last = heading;
    nodes.push(cards.get(event.id, [event, cameraOf(event)], eventCard));
  }
  arrange($("events"), nodes);
  const filtered = Object.values(filters()).some(Boolean);
  $("events-empty").hidden = events.length > 0;
  $("events-empty").replaceChildren(...(filtered
    ? ["No event matches. ", h("button", { class: "button", type: "button", onclick: () => { $("filters").reset(); refresh.events(); } }, "Show all")]
    : ["No events yet: when something moves it is recorded, and what is recognised in it appears here."]));
  $("more").hidden = !next;
}

/** A workflow decides upon a frame as it came: its box is drawn here, cut at the edges as its picture is. */
const outline = (event) => ({ target }) => {
  const [x, y, width, height] = detail.inPicture(event);
  target.after(s("svg", { class: "outline", viewBox: `0 0 ${target.naturalWidth} ${target.naturalHeight}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" },
    s("rect", { x: x * target.naturalWidth, y: y * target.naturalHeight, width: width * target.naturalWidth, height: height * target.naturalHeight })));
};

const gone = ({ target }) => target.replaceWith(h("span", { class: "none" }, "Its picture is there no more"));

function eventCard([event, camera]) {
  const seconds = (new Date(event.end_time) - new Date(event.start_time)) / 1000, name = event.identity || title(event.label);
  return h("li", {}, h("a", { class: "card", href: `#event=${event.id}` },
    h("span", { class: "picture" },
      event.has_picture ? h("img", { src: `api/events/${event.id}/picture?v=${event.picture_revision}`, alt: `${name} at ${camera}`, loading: "lazy", onerror: gone, onload: event.workflow && !detail.isCloseUp(event) && outline(event) })
        : h("span", { class: "none" }, "No picture"),
      !event.ended && h("span", { class: "badge motion" }, "Now"),
      event.alert && h("span", { class: "badge alert" }, "Alert"),
      event.kept && h("span", { class: "badge right" }, "★ Kept")),
    h("span", { class: "text" },
      h("span", { class: "line" }, h("span", { class: "name" }, name), h("span", { class: "soft", title: "Certainty" }, percent(event.score))),
      h("span", { class: "line soft" }, h("span", {}, [camera, ...event.zones.map(title)].join(" · ")), since(event.start_time)),
      h("span", { class: "line soft" }, h("span", {}, clock(event.start_time)), h("span", {}, event.workflow ? title(event.workflow) : span(seconds))),
      event.workflow && event.reason && h("span", { class: "line soft" }, event.reason))));
}

function options(name, pairs) {
  const select = $("filters").elements[name], wanted = [["", "All"], ...pairs];
  if (wanted.length === select.options.length && wanted.every(([value, text], i) => select.options[i].value === value && select.options[i].text === text)) return;
  const chosen = select.value;
  select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
  select.value = wanted.some(([value]) => value === chosen) ? chosen : "";
}

async function reload() {
  const asked = JSON.stringify(filters());
  const page = await api(query("events", { ...filters(), limit: Math.min(500, Math.max(FIRST, events.length)) }));
  if (asked !== JSON.stringify(filters())) return;
  [events, next] = [page.events, page.next];
  if (events.some((event) => !labels.includes(event.label))) refresh.labels();
  showEvents();
}

async function more() {
  $("more").disabled = true;
  try {
    const page = await api(query("events", { ...filters(), limit: PAGE, cursor: next }));
    const known = new Set(events.map((event) => event.id));
    events.push(...page.events.filter((event) => !known.has(event.id)));
    next = page.next;
    showEvents();
  } finally {
    $("more").disabled = false;
  }
}

// --- staying up to date ----------------------------------------------------------------------------

/** `work`, with what goes wrong said on the page. */
const careful = (name, work) => async () => {
  try {
    await work();
    troubles.delete(name);
  } catch (error) {
    troubles.set(name, error.message);
  }
  showState();
};

const refresh = {
  state: soon(careful("state", async () => { state = await api("state"); await showCloud(); }), 400),
  devices: soon(careful("devices", async () => { devices = await api("devices"); showDevices(); if (events.length) showEvents(); else headline(); })),
  events: soon(careful("events", reload)),
  work: soon(careful("work", work.load), 1000),
  people: soon(careful("people", people.load)),
  meters: soon(careful("meters", async () => { await meters.load(); showDevices(); showState(); own.refresh(); })),
  labels: soon(careful("labels", async () => {
    labels = await api("labels");
    options("label", labels.map((label) => [label, title(label)]));
  })),
};

const all = () => Object.values(refresh).forEach((one) => one(true));

const kinds = {
  hub: () => refresh.state(),
  outcome: () => refresh.state(),
  worker: () => { refresh.state(); refresh.work(); },
  workflow: () => refresh.work(),
  device: () => refresh.devices(),
  event: ({ data }) => { refresh.events(); detail.refresh(data.after.id); },
  motion: ({ device, camera, motion }) => { moving.set(key(device, camera), motion); live(key(device, camera)); },
  picture: ({ device, camera, captured_at }) => {
    const id = key(device, camera), known = devices.find((one) => one.device === device);
    pictures.set(id, captured_at);
    if (known?.meters.some((meter) => meter.name === camera)) { refresh.devices(); refresh.meters(); }
    else live(id);
    if (known?.errors.some(({ where }) => where.startsWith(`camera ${camera}, `))) refresh.devices();  // it may be over
  },
  ...Object.fromEntries(["reading", "verdict", "meter"].map((kind) => [kind, () => refresh.meters()])),
};

function route() {
  const id = location.hash.match(/^#event=([0-9a-f-]{36})$/)?.[1];
  const [, meter, set_up] = location.hash.match(/^#meter=([\w-]+\/[\w-]+?)(\/set-up)?$/) ?? [];
  if (id) detail.open(id);
  else if ($("detail").open) $("detail").close();
  if (meter) own.open(meter, Boolean(set_up));
  else if ($("meter").open) $("meter").close();
}

detail.setUp({
  order: (id) => {
    const i = events.findIndex((event) => event.id === id);
    return i < 0 ? [null, null] : [events[i - 1]?.id, events[i + 1]?.id];
  },
  changed: () => refresh.events(),
  named: cameraOf,
});
people.setUp(() => refresh.people(true));
own.setUp(() => refresh.meters(true));
$("people").addEventListener("toggle", () => refresh.people(true));
$("filters").addEventListener("change", () => { events = []; careful("events", reload)(); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("more").addEventListener("click", careful("events", more));
$("live-picture").addEventListener("click", ({ offsetX, offsetY, target }) => {
  settings.corner(offsetX / target.clientWidth, offsetY / target.clientHeight);
});
$("live").addEventListener("close", () => { watched = ""; });
$("logout").hidden = !document.cookie.includes("meerkat_login=");
$("logout").addEventListener("click", careful("logout", async () => { await post("../logout"); location.reload(); }));
$("add").addEventListener("click", () => cameras("add"));
addEventListener("hashchange", route);
setInterval(tick, 1000);
setInterval(() => { if (connected && !document.hidden) { refresh.devices(); refresh.state(); refresh.people(); refresh.meters(); } }, 60000);
all();
follow(kinds, () => { connected = true; all(); }, () => { connected = false; showState(); });
route();
