// What was used, by the day or by the hour, as bars.

import { h } from "./tools.js";
import { amount } from "./meters.js";

const HEIGHT = 180, BELOW = 22, ABOVE = 18, MOST = 880, LEAST = 300;

/** An element of a drawing. */
export function s(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) if (value != null && value !== false) element.setAttribute(name, value);
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Beginnings of `count` days or hours, the last one going on, and the end of it; local time. */
export function edges(kind, count, now = new Date()) {
  const last = kind === "days" ? new Date(now.getFullYear(), now.getMonth(), now.getDate()) : new Date(new Date(now).setMinutes(0, 0, 0));
  const at = (i) => (kind === "days" ? new Date(last.getFullYear(), last.getMonth(), last.getDate() + i) : new Date(last.getTime() + i * 3600e3));
  return Array.from({ length: count + 1 }, (_, i) => at(i - count + 1));
}

/** What was used between each two of `times`. Between two readings it is spread evenly; null: none is known. */
export function used(readings, times) {
  const rows = readings.map(({ at, total }) => [new Date(at).getTime(), total]).sort((a, b) => a[0] - b[0]);
  return times.slice(0, -1).map((from, i) => {
    const begin = from.getTime(), end = times[i + 1].getTime();
    let sum = 0, seen = false;
    for (let j = 1; j < rows.length; j++) {
      const [a, before] = rows[j - 1], [b, after] = rows[j], share = Math.min(end, b) - Math.max(begin, a);
      if (share <= 0 || b <= a) continue;
      sum += (after - before) * share / (b - a);
      seen = true;
    }
    return seen ? Math.max(0, sum) : null;
  });
}

/** Drawn as wide as it is shown, so that its words can be read on a telephone. */
export const width = () => Math.max(LEAST, Math.min(MOST, document.documentElement.clientWidth - 60));

/** The bars, with a scale and a name for each that a mouse rests on. */
export function bars(amounts, times, kind, unit) {
  const WIDTH = width(), most = Math.max(...amounts.map((one) => one ?? 0)), step = WIDTH / amounts.length, high = HEIGHT - BELOW - ABOVE;
  const named = (time) => (kind === "days" ? time.toLocaleDateString([], { day: "numeric", month: "short" }) : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  const every = Math.ceil(amounts.length / (WIDTH / 90)), all = amounts.reduce((sum, one) => sum + (one ?? 0), 0);
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${amount(all, unit)} in the last ${amounts.length} ${kind}, at most ${amount(most, unit)} in one` },
    s("line", { class: "axis", x1: 0, x2: WIDTH, y1: ABOVE, y2: ABOVE }),
    s("text", { x: 0, y: ABOVE - 5 }, amount(most, unit)),
    ...amounts.map((one, i) => {
      const tall = one > 0 ? Math.max(one / most * high, 1.5) : 0;
      return s("g", {}, s("rect", { class: "space", x: i * step, y: ABOVE, width: step, height: high }),
        s("rect", { class: "bar", x: i * step + step * .12, y: HEIGHT - BELOW - tall, width: step * .76, height: tall, rx: Math.min(3, step / 5) }),
        s("title", {}, `${kind === "days" ? times[i].toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" }) : times[i].toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })}: ${one == null ? "no readings" : amount(one, unit, most)}`));
    }),
    s("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - BELOW, y2: HEIGHT - BELOW }),
    ...amounts.map((_, i) => (amounts.length - 1 - i) % every === 0 && s("text", { class: i === amounts.length - 1 ? "last" : "tick", x: i === amounts.length - 1 ? WIDTH : (i + .5) * step, y: HEIGHT - 6 }, named(times[i]))));
  return h("div", {}, drawing, h("p", { class: "soft" }, `${amount(all, unit)} in these ${amounts.length} ${kind}. Between two readings it is spread evenly.`));
}
