// Whom the house knows by face: who, by how many pictures, and how to forget somebody.

import { $, Keyed, api, arrange, count, h, since } from "./tools.js";

const MOST = 8;
const cards = new Keyed();
let changed = () => {}, known = null;

/** `then`: to be called when somebody has been forgotten. */
export const setUp = (then) => { changed = then; };

/** Who is enrolled; null before it is known. */
export const names = () => known;

export async function load() {
  const people = await api("people");
  known = people.map(({ name }) => name);
  $("people").hidden = !people.length;
  $("people-title").textContent = `${count(people.length, "person", "people")} known by face`;
  arrange($("faces"), people.map((one) => cards.get(one.name, one, card)));
}

function card({ name, samples, added_at }) {
  const models = [...new Set(samples.map((sample) => sample.model))].join(", ");
  const seen = samples.filter((sample) => sample.has_picture), more = seen.length - MOST;
  return h("li", {}, h("div", { class: "card text", "data-person": name },
    h("div", { class: "line" }, h("span", { class: "name" }, name),
      h("button", { class: "button", type: "button", "aria-label": `Forget ${name}`, onclick: async ({ target }) => (await import("./forget.js")).person(name, target, changed) }, "Forget")),
    h("p", { class: "soft" }, `${count(samples.length, "picture")}${models && ` for ${models}`}, enrolled `, since(added_at)),
    h("p", { class: "row" }, ...seen.slice(0, MOST).map(({ id }) =>
      h("img", { src: `api/people/${encodeURIComponent(name)}/samples/${id}/picture`, alt: "", width: 48, height: 48, loading: "lazy" })),
    more > 0 && h("span", { class: "soft" }, `and ${more} more`))));
}
