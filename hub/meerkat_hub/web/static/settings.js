// What can be set of a device while it runs; and beside a camera's live picture the corners of a mask or zone.

import { $, api, h, post, title } from "./tools.js";

const SETTLES = 700, PLACES = 100;

/** Whether a number has few enough places for a slider. */
const slides = ({ kind, minimum, maximum, step }) => kind === "number" && minimum != null && maximum != null && step && (maximum - minimum) / step <= PLACES;

/** The controls of some settings of a device. `sections`: [{thing, heading}], in order. */
export class Panel {
  #root; #trouble; #fold; #device = ""; #sections = []; #shown = new Map();
  /** `fold`: those to set up once are behind "More settings". */
  constructor(root, trouble, fold = false) { [this.#root, this.#trouble, this.#fold] = [root, trouble, fold]; }

  show(device, sections) {
    [this.#device, this.#sections, this.#shown] = [device, sections, new Map()];
    this.#say("");
    this.#root.replaceChildren();
    return this.load();
  }

  /** Bring it up to date, leaving in place what is there: somebody may be on it with the keyboard. */
  async load() {
    const device = this.#device;
    if (!device) return;
    const all = await api(`devices/${device}/settings`).catch((error) => { this.#say(error.message); return null; });
    if (!all || device !== this.#device) return;
    const mine = this.#sections.map((section) => [section, all.filter((one) => one.thing === section.thing && (this.#fold || one.kind !== "button" || one.thing === "device"))]);
    const key = ({ value, ...what }) => JSON.stringify(what), wanted = mine.flatMap(([, some]) => some);
    if (wanted.length !== this.#shown.size || !wanted.every((one) => this.#shown.has(key(one)))) {
      this.#shown = new Map(wanted.map((one) => [key(one), this.#control(one)]));
      const rows = (some) => some.map((one) => this.#row(one, this.#shown.get(key(one))[0]));
      this.#root.replaceChildren(...mine.flatMap(([{ heading }, some]) => {
        const once = this.#fold ? some.filter((one) => !one.common) : [];
        return some.length ? [heading && h("h4", {}, heading), ...rows(some.filter((one) => !once.includes(one))),
          once.length && h("details", {}, h("summary", {}, "More settings"), ...rows(once))].filter(Boolean) : [];
      }));
    }
    for (const one of wanted) this.#shown.get(key(one))[1](one.value);
  }

  #row(one, control) {
    return h(one.kind === "button" ? "div" : "label", { class: "setting" },
      h("span", {}, one.label || title(one.name), one.unit && !slides(one) && h("span", { class: "soft unit" }, `\u00a0${one.unit}`)), control);
  }

  /** [element, what shows a value in it] */
  #control(one) {
    const { kind, name, minimum, maximum, step } = one, own = { "data-setting": name }, set = (value) => this.#set(one, value);
    const shows = (input) => (value) => { input.disabled = value == null; if (value != null && !input.matches(":active")) input.value = value; };
    if (kind === "switch") {
      const input = h("input", { ...own, type: "checkbox", role: "switch", onchange: ({ target }) => set(target.checked) });
      return [input, (value) => { input.disabled = value == null; input.checked = value === "ON"; }];
    }
    if (kind === "select") {
      const input = h("select", { ...own, onchange: ({ target }) => set(target.value) }, ...one.options.map((option) => h("option", {}, option)));
      return [input, shows(input)];
    }
    if (kind === "number") {
      const slide = slides(one);
      const input = h("input", { ...own, type: slide ? "range" : "number", min: minimum, max: maximum, step: slide ? step : "any",
        onchange: ({ target }) => set(target.value === "" ? "default" : target.valueAsNumber) });
      if (!slide) return [input, shows(input)];
      const said = h("output"), show = shows(input), say = (value) => { said.textContent = value == null ? "" : `${value} ${one.unit}`; };
      input.addEventListener("input", () => say(input.value));
      return [h("span", { class: "range" }, input, said), (value) => { show(value); if (!input.matches(":active")) say(value); }];
    }
    return [h("button", { ...own, class: "button", type: "button", onclick: () => set("PRESS") }, one.label || title(name)), () => {}];
  }

  async #set({ thing, name }, value) {
    this.#say("");
    try {
      await post(`devices/${this.#device}/${thing}/${name}`, { value });
    } catch (error) {
      this.#say(error.message);
    }
    setTimeout(() => this.load(), SETTLES);
  }

  #say(text) { this.#trouble.textContent = text; }
}

// --- beside a camera's live picture ----------------------------------------------------------------

const beside = new Panel($("settings"), $("settings-trouble"), true);
let corners = [];

/** Show those of a camera, "device/name"; nothing when it offers none. */
export function open(id) {
  const [device, thing] = id.split("/");
  corners = [];
  showCorners();
  return beside.show(device, [{ thing }]);
}

export const refresh = () => beside.load();

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
