// Setting a meter up: where its wheels and dials are in the picture. Boxes are dragged, or moved with the arrow keys.

import { s } from "./chart.js";
import { called, number, verdicts } from "./meters.js";
import { api, h, post, put } from "./tools.js";

const UNITS = ["m³", "L", "ft³", "CCF", "gal", "kWh", "MWh", "MJ", "GJ"];
const LEAST = 4;

/** The share of the smaller box that both cover. */
function lies([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const wide = Math.min(ax + aw, bx + bw) - Math.max(ax, bx), tall = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  return Math.max(0, wide) * Math.max(0, tall) / Math.min(aw * ah, bw * bh);
}

/** The editor. `done`: called when it is saved or left. */
export class Editor {
  #id; #picture; #size; #boxes = []; #rotation = 0; #whole = 0; #unit; #others = {}; #chosen = null; #seen = null;
  #done; #drawing; #side; #said; #list; #zoom = 1;
  dirty = false;

  /** `picture`: its id, with the `image` that has been loaded; `layout`: what there is, or null. */
  constructor(one, picture, image, layout, done) {
    [this.#id, this.#picture, this.#done] = [`${one.device}/${one.meter}`, picture, done];
    this.#size = [image.naturalWidth, image.naturalHeight];
    this.#unit = ["electricity", "heat"].includes(one.kind) ? "kWh" : "m³";
    this.#said = h("p", { role: "status", class: "said" });
    this.#list = h("div", { class: "factors" });
    this.#side = h("div", { class: "tools" });
    const [width, height] = this.#size;
    this.#drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "editor", role: "group", "aria-label": `Boxes on the picture of meter ${called(one)}` });
    this.element = h("div", { class: "calibration" },
      h("p", { class: "soft" }, "One box for each wheel, from one digit's upper edge to its lower edge, and one for each dial. Drag them, or choose one with Tab and move it with the arrow keys; with Shift they change its size, with Alt ten at a time."),
      h("div", { class: "actions" },
        h("button", { class: "button", type: "button", "data-do": "propose", onclick: ({ target }) => this.#propose(target) }, "Find the wheels"),
        h("button", { class: "button", type: "button", "data-do": "wheel", onclick: () => this.#add("wheel") }, "Add a wheel"),
        h("button", { class: "button", type: "button", "data-do": "dial", onclick: () => this.#add("dial") }, "Add a dial"),
        h("button", { class: "button", type: "button", "data-do": "remove", onclick: () => this.#remove() }, "Remove the box"),
        h("button", { class: "button", type: "button", "data-do": "round", onclick: () => this.#round() }, "Turn upside down"),
        h("span", { class: "push" }),
        h("label", { class: "check" }, "Zoom ", h("select", { onchange: ({ target }) => this.#magnify(Number(target.value)) }, ...[1, 2, 4].map((by) => h("option", { value: by }, `${by} ×`))))),
      this.#said, h("div", { class: "canvas" }, this.#drawing), this.#side, this.#list,
      h("div", { class: "actions" },
        h("button", { class: "button", type: "button", "data-do": "try", onclick: ({ target }) => this.#try(target) }, "Try"),
        h("button", { class: "button main", type: "button", "data-do": "save", onclick: ({ target }) => this.#save(target) }, "Save"),
        h("button", { class: "button", type: "button", onclick: () => done(false) }, "Cancel")));
    if (layout) this.#take(layout);
    this.dirty = false;
    this.#show();
  }

  // --- what is drawn -------------------------------------------------------------------------------

  #take(layout) {
    // A picture of another size than the one that it was made for, as long as it has its shape.
    const by = layout.width ? this.#size[0] / layout.width : 1, scaled = (box) => box.map((side) => side * by);
    const back = (i) => (Array.isArray(layout.mirrored) ? layout.mirrored[i] : layout.mirrored);
    this.#boxes = [...layout.digits.map((box) => ({ kind: "wheel", box: scaled(box) })),
      ...layout.pointers.map((box, i) => ({ kind: "dial", box: scaled(box), factor: layout.pointer_factors[i], mirrored: back(i) }))];
    [this.#rotation, this.#whole, this.#unit, this.#others] = [layout.rotation_deg, layout.integer_digits, layout.unit, layout.counters ?? {}];
    [this.#chosen, this.#seen, this.dirty] = [null, null, true];
  }

  /** As the hub takes it. Wheels are read from left to right, dials from the largest factor down. */
  #layout() {
    const tidy = ({ box }) => box.map((side) => Math.round(side * 10) / 10);
    const wheels = this.#wheels(), dials = this.#dials(), [width, height] = this.#size;
    return { rotation_deg: this.#rotation, digits: wheels.map(tidy), integer_digits: Math.min(this.#whole, wheels.length), pointers: dials.map(tidy),
      pointer_factors: dials.map(({ factor }) => factor), mirrored: dials.map(({ mirrored }) => mirrored), unit: this.#unit, width, height, counters: this.#others };
  }

  #wheels() { return this.#boxes.filter(({ kind }) => kind === "wheel").sort((a, b) => a.box[0] - b.box[0]); }
  #dials() { return this.#boxes.filter(({ kind }) => kind === "dial").sort((a, b) => b.factor - a.factor); }

  #show() {
    const [width, height] = this.#size;
    this.#drawing.replaceChildren(s("image", { href: `api/meter-pictures/${this.#picture}`, width, height, transform: `rotate(${this.#rotation} ${width / 2} ${height / 2})` }),
      ...[...this.#wheels(), ...this.#dials()].map((one) => this.#drawn(one)));
    this.#tools();
    this.#factors();
    this.element.querySelector("[data-do=remove]").disabled = !this.#chosen;
    for (const name of ["try", "save"]) this.element.querySelector(`[data-do=${name}]`).disabled = !this.#boxes.length;
  }

  #name(one) {
    const all = one.kind === "wheel" ? this.#wheels() : this.#dials();
    return `${one.kind === "wheel" ? "Wheel" : "Dial"} ${all.indexOf(one) + 1} of ${all.length}`;
  }

  /** What was read in a box when it was tried. */
  #read(one) {
    const counter = this.#seen?.counters[0];
    return (one.kind === "wheel" ? counter?.wheels[this.#wheels().indexOf(one)] : counter?.needles[this.#dials().indexOf(one)]) ?? null;
  }

  #drawn(one) {
    const [x, y, width, height] = one.box, size = Math.max(5, this.#size[0] / 130 / this.#zoom), seen = this.#read(one), chosen = one === this.#chosen;
    const group = s("g", { class: `box ${one.kind}${chosen ? " chosen" : ""}`, tabindex: 0, role: "button", "aria-pressed": String(chosen),
      "aria-label": `${this.#name(one)}, at ${Math.round(x)}, ${Math.round(y)}, ${Math.round(width)} wide, ${Math.round(height)} high${seen ? `, reads ${seen.digit ?? "nothing"}` : ""}` },
    s("rect", { x, y, width, height, rx: one.kind === "dial" ? width / 2 : 2 }),
    seen && s("text", { x: x + width / 2, y: y - size / 2, "font-size": Math.min(size * 3, width * .6) }, seen.position == null ? "?" : seen.position.toFixed(1)),
    s("circle", { class: "handle", cx: x + width, cy: y + height, r: size }));
    group.addEventListener("pointerdown", (event) => this.#grab(event, one));
    group.addEventListener("keydown", (event) => this.#key(event, one));
    group.addEventListener("focus", () => { if (this.#chosen !== one) this.#choose(one); });
    return group;
  }

  /** Draw anew, with the keyboard where it was. */
  #again(one) {
    this.#show();
    [...this.#drawing.querySelectorAll("g")][[...this.#wheels(), ...this.#dials()].indexOf(one)]?.focus({ preventScroll: true });
  }

  #choose(one) { this.#chosen = one; this.#again(one); }

  #change(one, box) {
    const [width, height] = this.#size, most = (side, from, all) => Math.max(LEAST, Math.min(side, all - from));
    const x = Math.max(0, Math.min(box[0], width - LEAST)), y = Math.max(0, Math.min(box[1], height - LEAST));
    let [wide, tall] = [most(box[2], x, width), most(box[3], y, height)];
    if (one.kind === "dial") wide = tall = Math.min(wide, tall);
    one.box = [x, y, wide, tall];
    [this.#seen, this.dirty] = [null, true];
  }

  #grab(event, one) {
    if (event.button) return;
    event.preventDefault();
    const sizing = event.target.classList.contains("handle"), before = [...one.box], at = (e) => {
      const place = new DOMPoint(e.clientX, e.clientY).matrixTransform(this.#drawing.getScreenCTM().inverse());
      return [place.x, place.y];
    }, [x0, y0] = at(event);
    this.#choose(one);
    const move = (e) => {
      const [x, y] = at(e), [dx, dy] = [x - x0, y - y0], [left, top, width, height] = before;
      this.#change(one, sizing ? [left, top, width + (one.kind === "dial" ? Math.max(dx, dy) : dx), height + (one.kind === "dial" ? Math.max(dx, dy) : dy)]
        : [Math.min(left + dx, this.#size[0] - width), Math.min(top + dy, this.#size[1] - height), width, height]);
      this.#again(one);
    };
    const end = () => { for (const [kind, act] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) removeEventListener(kind, act); };
    for (const [kind, act] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) addEventListener(kind, act);
  }

  #key(event, one) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); this.#chosen = one; this.#remove(); return; }
    if (!way || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const by = event.altKey ? 10 : 1, [x, y, width, height] = one.box;
    this.#change(one, event.shiftKey ? [x, y, width + way[0] * by, height + (one.kind === "dial" ? way[0] || way[1] : way[1]) * by] : [x + way[0] * by, y + way[1] * by, width, height]);
    this.#again(one);
  }

  #magnify(by) {
    this.#zoom = by;
    this.#drawing.style.width = `${by * 100}%`;
    this.#show();
    const one = this.#chosen ?? this.#boxes[0], canvas = this.#drawing.parentElement, scale = this.#drawing.clientWidth / this.#size[0];
    if (one) canvas.scrollTo((one.box[0] * scale) - canvas.clientWidth / 4, (one.box[1] * scale) - canvas.clientHeight / 3);
  }

  // --- what is set beside it -----------------------------------------------------------------------

  #tools() {
    if (this.#side.contains(document.activeElement) && this.#side.children.length) { this.#wholes(); return; }
    const turned = (value) => { this.#rotation = Math.max(-360, Math.min(360, Number(value) || 0)); [this.#seen, this.dirty] = [null, true]; slider.value = this.#rotation; exact.value = this.#rotation; this.#show(); };
    const slider = h("input", { type: "range", min: -45, max: 45, step: .1, value: this.#rotation, "aria-label": "Turn the picture", oninput: ({ target }) => turned(target.value) });
    const exact = h("input", { type: "number", min: -360, max: 360, step: "any", value: this.#rotation, "aria-label": "Turn the picture, degrees clockwise", "data-set": "rotation", onchange: ({ target }) => turned(target.value) });
    this.#side.replaceChildren(
      h("div", { class: "setting" }, h("span", {}, "Turn the picture (°)"), h("span", { class: "range" }, slider, exact)),
      h("label", { class: "setting" }, h("span", {}, "Wheels before the decimal point"),
        h("input", { type: "number", min: 0, step: 1, "data-set": "whole", onchange: ({ target }) => { this.#whole = Math.max(0, Math.min(this.#wheels().length, Math.round(target.valueAsNumber) || 0)); this.dirty = true; this.#seen = null; this.#show(); } })),
      h("label", { class: "setting" }, h("span", {}, "Unit"),
        h("select", { "data-set": "unit", onchange: ({ target }) => { this.#unit = target.value; this.dirty = true; } }, ...[...new Set([...UNITS, this.#unit])].map((unit) => h("option", { selected: unit === this.#unit }, unit)))));
    this.#wholes();
  }

  #wholes() {
    const input = this.#side.querySelector("[data-set=whole]");
    input.max = this.#wheels().length;
    input.value = Math.min(this.#whole, this.#wheels().length);
  }

  #factors() {
    const dials = this.#dials(), others = Object.keys(this.#others);
    if (this.#list.contains(document.activeElement) && this.#list.querySelectorAll("input[type=number]").length === dials.length) return;
    this.#list.replaceChildren(...dials.map((one, i) => h("div", { class: "setting" },
      h("label", {}, `Dial ${i + 1}: one step is`, h("input", { type: "number", min: 0, step: "any", value: one.factor, "data-factor": i,
        onchange: ({ target }) => { if (target.valueAsNumber > 0) { one.factor = target.valueAsNumber; this.dirty = true; this.#seen = null; } target.blur(); this.#show(); } }), ` ${this.#unit}`),
      h("label", {}, h("input", { type: "checkbox", checked: one.mirrored, onchange: ({ target }) => { one.mirrored = target.checked; this.dirty = true; this.#seen = null; this.#show(); } }), "runs backwards"))),
    ...(others.length ? [h("p", { class: "soft" }, `Further counters stay as they are: ${others.join(", ")}. They are set in the layout's file.`)] : []));
  }

  #add(kind) {
    const [width, height] = this.#size, mine = kind === "wheel" ? this.#wheels() : this.#dials(), last = mine.at(-1);
    const side = width / (kind === "wheel" ? 24 : 12), fresh = last ? [last.box[0] + last.box[2] * 1.15, last.box[1], last.box[2], last.box[3]] : [width / 2, height / 2, side, kind === "wheel" ? side * 1.6 : side];
    const one = { kind, box: fresh };
    if (kind === "dial") Object.assign(one, { factor: last ? Number((last.factor / 10).toPrecision(6)) : Number((10 ** (this.#whole - this.#wheels().length - 1)).toPrecision(6)), mirrored: last?.mirrored ?? false });
    else if (this.#whole === mine.length) this.#whole += 1;
    this.#boxes.push(one);
    this.#change(one, fresh[0] > width - LEAST * 4 ? [width / 2, fresh[1] / 2, fresh[2], fresh[3]] : fresh);
    this.#choose(one);
  }

  #remove() {
    if (!this.#chosen) return;
    this.#boxes = this.#boxes.filter((one) => one !== this.#chosen);
    this.#whole = Math.min(this.#whole, this.#wheels().length);
    [this.#chosen, this.#seen, this.dirty] = [null, null, true];
    this.#show();
  }

  /** The picture was found standing on its head: the boxes turn with it. */
  #round() {
    const [width, height] = this.#size;
    for (const one of this.#boxes) one.box = [width - one.box[0] - one.box[2], height - one.box[1] - one.box[3], one.box[2], one.box[3]];
    this.#rotation += this.#rotation > 0 ? -180 : 180;
    this.#rotation = Math.round(this.#rotation * 100) / 100;
    [this.#seen, this.dirty] = [null, true];
    this.#show();
  }

  /** What the hub would refuse, in words; empty when nothing. */
  #wrong() {
    for (const all of [this.#wheels(), this.#dials()]) {
      for (const [i, one] of all.entries()) {
        const other = all.slice(i + 1).find(({ box }) => lies(one.box, box) > .5);
        if (other) return `${this.#name(one)} and ${this.#name(other)} lie on each other.`;
        if (one.kind === "dial" && all[i + 1]?.factor === one.factor) return `${this.#name(one)} and the next count the same: give each its own step.`;
      }
    }
    return "";
  }

  // --- asking the hub ------------------------------------------------------------------------------

  #say(text, bad = false) {
    this.#said.textContent = text;
    this.#said.classList.toggle("why", bad);
  }

  /** `work` while the button says what is going on. */
  async #while(button, text, work) {
    const label = button.textContent;
    Object.assign(button, { disabled: true, textContent: text });
    this.#say("");
    try {
      const wrong = button.dataset.do === "propose" ? "" : this.#wrong();
      if (wrong) throw new Error(wrong);
      await work();
    } catch (error) {
      this.#say(error.message, true);
    } finally {
      Object.assign(button, { disabled: false, textContent: label });
    }
  }

  #propose(button) {
    return this.#while(button, "Looking for wheels…", async () => {
      const { layout, doubts, seen } = await post(`meters/${this.#id}/propose`, { picture: this.#picture });
      this.#take({ ...layout, counters: this.#others });
      this.#seen = seen;
      this.#show();
      this.#say([`Found ${this.#wheels().length} wheels and ${this.#dials().length} dials. ${this.#verdict()}`, ...doubts.map((doubt) => `Please look: ${doubt}.`)].join(" "));
    });
  }

  #try(button) {
    return this.#while(button, "Reading…", async () => {
      const { seen } = await post(`meters/${this.#id}/try`, { layout: this.#layout(), picture: this.#picture });
      this.#seen = seen;
      this.#show();
      this.#say(this.#verdict());
    });
  }

  #verdict() {
    const counter = this.#seen?.counters[0];
    if (!counter) return "";
    const value = counter.value == null ? "no reading" : `${number(counter.value, counter.step)} ${counter.unit}`;
    return `It reads ${value}: ${verdicts[counter.verdict][1].toLowerCase()}${counter.reason ? `; ${counter.reason}` : ""}.`;
  }

  #save(button) {
    return this.#while(button, "Saving…", async () => {
      await put(`meters/${this.#id}/layout`, { layout: this.#layout(), picture: this.#picture });
      this.dirty = false;
      this.#done(true);
    });
  }
}

/** Opens the editor on the picture that the layout was drawn on, while that is there; else on the latest. */
export async function edit(one, done) {
  const { layout, configured } = await api(`meters/${one.device}/${one.meter}/layout`);
  if (configured) throw new Error("Its layout is in meerkat.yaml, which alone can change it.");
  const loaded = (id) => new Promise((found) => {
    const image = new Image();
    image.onload = () => found(image);
    image.onerror = () => found(null);
    image.src = `api/meter-pictures/${id}`;
  });
  const of_layout = /^[0-9a-f-]{36}$/.test(layout?.reference ?? "") ? layout.reference : null, latest = one.latest?.id;
  for (const id of [of_layout, latest]) {
    const image = id && await loaded(id);
    if (image) return new Editor(one, id, image, layout, done);
  }
  throw new Error("It has no picture yet. Take one first.");
}
