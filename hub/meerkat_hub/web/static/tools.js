// Small tools: elements, the API, and words for times and names. Addresses are relative to the page,
// so that it works under any path prefix.

export const $ = (id) => document.getElementById(id);

/** An element: h("p", {class: "soft"}, "text", other). Properties that are null are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Text with `code` in backticks, as nodes. */
export const words = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

/** JSON of the API. Throws an Error that says what, where and the remedy. */
export async function api(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Error("The hub does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && (answer !== null || response.status === 204)) return answer;
  // The login has ended: the same address shows its page.
  if (response.status === 401 && response.headers.get("www-authenticate")?.includes("Meerkat")) location.reload();
  const { what = `The hub answered with status ${response.status}`, remedy = "" } = answer ?? {};
  throw new Error(remedy ? `${what}. ${remedy}.` : `${what}.`);
}

// The hub takes no change from what another page could send: only JSON.
const change = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
export const post = (path, body) => api(path, change("POST", body));
export const put = (path, body) => api(path, change("PUT", body));
export const remove = (path) => api(path, change("DELETE"));

/** `path` with the query parameters that are given. */
export function query(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value != null && value !== "" && value !== false);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Calls `work` once, a little after the last of many calls (`true`: at once); never twice at a time. */
export function soon(work, delay = 250) {
  let timer = 0, running = false, again = false;
  return function call(now) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (running) { again = true; return; }
      running = true;
      try { await work(); } finally {
        running = false;
        if (again) { again = false; call(); }
      }
    }, now === true ? 0 : delay);
  };
}

// --- words -----------------------------------------------------------------------------------------

export const title = (name) => {
  const text = name.replaceAll(/[_-]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

export const percent = (score) => `${Math.round(score * 100)} %`;

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** 75 → "1 min 15 s" */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  const minutes = Math.floor((s % 3600) / 60);
  return `${Math.floor(s / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(time) {
  const s = (Date.now() - new Date(time)) / 1000;
  if (s < 3) return "now";
  if (s < 60) return relative.format(-Math.round(s), "second");
  if (s < 3600) return relative.format(-Math.round(s / 60), "minute");
  if (s < 86400) return relative.format(-Math.round(s / 3600), "hour");
  return relative.format(-Math.round(s / 86400), "day");
}

export const clock = (time) =>
  new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const minute = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function day(time) {
  const date = new Date(time), midnight = new Date().setHours(0, 0, 0, 0);
  const days = Math.round((midnight - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0 || days === 1) return days ? "Yesterday" : "Today";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

/** A time that keeps itself up to date: "2 minutes ago". */
export const since = (time, properties = {}) =>
  h("time", { datetime: time, title: new Date(time).toLocaleString(), "data-ago": "", ...properties }, ago(time));

export function tick() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Show `nodes` in `list`, touching the document only when something has changed. */
export function arrange(list, nodes) {
  if (nodes.length === list.children.length && nodes.every((node, i) => node === list.children[i])) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...nodes);
  if (focused?.isConnected) focused.focus({ preventScroll: true });
}

/** Keyed elements that are made again only when what they show has changed. */
export class Keyed {
  #made = new Map();
  #limit = 500;
  get size() { return this.#made.size; }
  get(key, value, make) {
    const shown = JSON.stringify(value), known = this.#made.get(key);
    if (known?.shown === shown) return known.element;
    const element = make(value);
    if (known?.element.contains(document.activeElement)) {
      setTimeout(() => element.querySelector("a, button")?.focus({ preventScroll: true }));
    }
    if (this.#made.size >= this.#limit) this.#forget();
    this.#made.set(key, { shown, element });
    return element;
  }
  /** A page on a wall stays open for months: what has left it is not kept, with its picture, for good. */
  #forget() {
    for (const [key, { element }] of this.#made) if (!element.isConnected) this.#made.delete(key);
    this.#limit = 500 + this.#made.size;
  }
}
