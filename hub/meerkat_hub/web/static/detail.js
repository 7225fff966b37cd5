// One event: its clips one after another with the boxes drawn over them, what is known, and keeping it.

import { $, ago, api, clock, count, day, h, percent, post, span, title } from "./tools.js";

const video = $("video"), boxes = $("boxes"), dialog = $("detail");
let event = null, clips = [], playing = -1, tracks = new Map(), neighbours = () => [null, null], cameraOf = () => "";
let onChange = () => {}, still = null;

export function setUp({ order, changed, named }) {
  neighbours = order;
  cameraOf = named;
  onChange = changed;
  video.addEventListener("ended", () => play(nextPlayable(playing)));
  video.addEventListener("error", () => video.getAttribute("src") && say(
    "This browser cannot play the clip. Download it to watch it elsewhere.", true));
  for (const name of ["playing", "seeked", "loadeddata"]) video.addEventListener(name, draw);
  new ResizeObserver(draw).observe(video);
  $("show-boxes").addEventListener("change", draw);
  $("keep").addEventListener("click", keep);
  $("newer").addEventListener("click", () => go(0));
  $("older").addEventListener("click", () => go(1));
  dialog.addEventListener("close", close);
  dialog.addEventListener("keydown", (key) => {
    if (key.target === video || key.altKey || key.ctrlKey || key.metaKey) return;
    if (key.key === "ArrowLeft") go(0);
    else if (key.key === "ArrowRight") go(1);
    else if (key.key === "k") keep();
  });
  for (const box of document.querySelectorAll("dialog")) {
    box.addEventListener("click", (click) => {
      if (click.target === box || click.target.closest("[data-close]")) box.close();
    });
  }
}

/** Show the event with this id; `#event=<id>` in the address leads here. */
export async function open(id) {
  if (event?.id === id && dialog.open) return;
  try {
    const found = await api(`events/${encodeURIComponent(id)}`);
    event = found;
  } catch (error) {
    [event, still] = [null, null];
    clips = [];
    $("detail-title").textContent = "No such event";
    for (const name of ["about", "parts"]) $(name).replaceChildren();
    $("drawn").hidden = true;
    if (!dialog.open) dialog.showModal();
    say(error.message, true);
    return;
  }
  clips = event.outcomes;
  tracks = new Map();
  playing = -1;
  describe();
  video.removeAttribute("src");
  video.load();
  if (event.has_picture) video.poster = `api/events/${event.id}/picture?v=${event.picture_revision}`;
  else video.removeAttribute("poster");
  if (!dialog.open) dialog.showModal();
  showStill(event);
  const first = nextPlayable(-1);
  if (first >= 0) play(first, (new Date(event.start_time) - new Date(clips[first].captured_at)) / 1000 - 1);
  else if (event.workflow) say("Decided upon this single frame.");
  else say(clips.length ? "The clips of this event have been removed by now." : "This event has no clips.");
}

/** The event may have grown: read it again if it is the one that is shown. */
export async function refresh(id) {
  if (!dialog.open || event?.id !== id) return;
  const found = await api(`events/${id}`).catch(() => null);
  if (found === null || event?.id !== id) return;
  event = found;
  clips = event.outcomes;
  describe();
}

function close() {
  video.pause();
  video.removeAttribute("src");
  video.load();
  boxes.replaceChildren();
  [event, still] = [null, null];
  if (location.hash.startsWith("#event=")) history.replaceState(null, "", location.pathname + location.search);
}

function go(direction) {
  const id = event && neighbours(event.id)[direction];
  if (id) location.replace(`#event=${id}`);
}

const nextPlayable = (from) => clips.findIndex((clip, i) => i > from && clip.available);

/** Play a clip, from the second `from` on. */
function play(index, from = 0) {
  if (index < 0) return;
  playing = index;
  const clip = clips[index];
  video.src = media(clip);
  if (from > 0 && from < clip.duration) video.currentTime = from;
  video.play().catch((error) => error.name === "NotAllowedError" && say("Press play to watch."));
  say(`Clip ${index + 1} of ${clips.length}, ${clock(clip.captured_at)}`);
  $("download").href = media(clip);
  $("download").setAttribute("download", `${clip.camera}-${clip.captured_at.slice(0, 19).replaceAll(":", "-")}Z.mp4`);
  offerDrawn(clip);
  mark();
  if (!tracks.has(clip.id)) {
    tracks.set(clip.id, []);
    api(`clips/${clip.id}`).then((found) => { tracks.set(clip.id, found.tracks); draw(); }, (error) => say(error.message, true));
  }
}

/** The video with the boxes drawn in, where the cloud made one: nobody else draws. If it cannot be asked, the link says why. */
async function offerDrawn({ id, worker }) {
  const link = $("drawn");
  link.hidden = true;
  if (!worker.startsWith("cloud:")) return;
  const href = `api/clips/${id}/annotated`, { status } = await fetch(href, { method: "HEAD" }).catch(() => ({}));
  if (clips[playing]?.id === id) Object.assign(link, { href, hidden: status === 404 });
}

const place = (worker) => (worker.startsWith("cloud:") ? `the cloud (${worker.slice(6)})` : worker);

/** Who looked at the clips; how many of them each, where there were several. */
function lookers() {
  const names = clips.map((clip) => clip.worker).filter(Boolean), each = [...new Set(names)];
  return each.map((name) => `${place(name)}${each.length > 1 ? `: ${count(names.filter((one) => one === name).length, "clip")}` : ""}`).join(", ");
}

const media = (clip) => `api/clips/${clip.id}/media`;

function say(text, bad = false) {
  $("playing").textContent = text;
  $("playing").classList.toggle("bad", bad);
}

function mark() {
  [...$("parts").querySelectorAll("button")].forEach((button, i) => {
    if (i === playing) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
}

function describe() {
  $("detail-title").textContent = `${event.identity || title(event.label)} · ${cameraOf(event)}`;
  $("parts").replaceChildren(...clips.map((clip, i) => h("li", {}, h("button", {
    type: "button", onclick: () => play(i), disabled: !clip.available,
    title: [clip.state, clip.reason].filter(Boolean).join(": ") + (clip.worker && `, looked at by ${place(clip.worker)}`),
    "aria-label": `Clip ${i + 1}, ${clock(clip.captured_at)}, ${span(clip.duration)}, ${clip.state}`,
  }, `${clock(clip.captured_at)} · ${span(clip.duration)}${clip.state === "done" ? "" : ` · ${clip.state}`}`))));
  $("parts").hidden = clips.length < 2;
  $("download").hidden = !clips.length;
  if (playing < 0) $("drawn").hidden = true;
  mark();
  const seconds = (new Date(event.end_time) - new Date(event.start_time)) / 1000;
  const model = event.model;
  const rows = [
    ["When", `${day(event.start_time)}, ${clock(event.start_time)} (${ago(event.start_time)})`],
    ["Decision", event.reason && `${event.alert ? "Alert: " : ""}${event.reason}`],
    ["Workflow", event.workflow && title(event.workflow)],
    ["How long", !event.workflow && (event.ended ? span(seconds) : `${span(seconds)}, going on`)],
    ["Certainty", percent(event.score)],
    ["Came through", event.zones.map(title).join(", ")],
    ["Camera", `${event.device} / ${event.camera}`],
    ["Model", model && `${model.name} on ${model.engine}${model.fallback ? " (built-in fallback)" : ""}`],
    ["Looked at by", lookers()],
    ["Clips", clips.length > 0 && `${count(clips.length, "clip")}, ${(clips.reduce((sum, clip) => sum + clip.size, 0) / 1e6).toFixed(1)} MB`],
    ...clips.filter((clip) => clip.reason).map((clip) => [`Clip of ${clock(clip.captured_at)}`, `${clip.state}: ${clip.reason}`]),
  ];
  $("about").replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  $("keep").setAttribute("aria-pressed", String(event.kept));
  $("keep").textContent = event.kept ? "★ Kept" : "☆ Keep";
  $("keep").title = event.kept ? "Its clips are never removed. Press to let them go in time." : "Never remove this event and its clips";
  const [newer, older] = neighbours(event.id);
  $("newer").disabled = !newer;
  $("older").disabled = !older;
}

async function keep() {
  if (!event) return;
  try {
    const { kept } = await post(`events/${event.id}/keep`, { kept: !event.kept });
    event.kept = kept;
    describe();
    onChange();
  } catch (error) {
    say(error.message, true);
  }
}

// --- boxes -----------------------------------------------------------------------------------------

/** An event's box in its picture, which may be a part of the camera's. */
export function inPicture({ box: [x, y, width, height], region }) {
  const [left, top, wide, high] = region ?? [0, 0, 1, 1];
  return [(x - left) / wide, (y - top) / high, width / wide, height / high];
}

/** The picture is the box, such as a face: there is nothing to draw. */
export const isCloseUp = ({ box, region }) => region?.join() === box.join();

/** A workflow decides upon a frame as it came: its box is drawn over it here. */
async function showStill({ id, workflow, has_picture, ...where }) {
  still = null;
  if (workflow && has_picture && !isCloseUp(where)) {
    const image = new Image();
    image.src = video.poster;
    await image.decode().catch(() => {});  // then there is no picture to draw on
    if (event?.id === id && image.naturalWidth) still = image;
  }
  draw();
}

function draw() {
  const clip = clips[playing], on = $("show-boxes").checked;
  const shown = on && clip && video.videoWidth ? tracks.get(clip.id) ?? [] : [];
  const [full, tall] = still ? [still.naturalWidth, still.naturalHeight] : [video.videoWidth, video.videoHeight];
  const scale = Math.min(video.clientWidth / full, video.clientHeight / tall) || 0;
  const width = full * scale, height = tall * scale;
  Object.assign(boxes.style, {
    width: `${width}px`, height: `${height}px`,
    left: `${video.offsetLeft + (video.clientWidth - width) / 2}px`,
    top: `${video.offsetTop + (video.clientHeight - height) / 2}px`,
  });
  const seen = still && on ? [[event, inPicture(event)]] : shown.map((track) => [track, at(track.sightings, video.currentTime)]);
  boxes.replaceChildren(...seen.filter(([, box]) => box).map(([{ label, score }, [x, y, w, high]]) => {
    const element = h("div", {}, h("span", {}, `${title(label)} ${percent(score)}`));
    Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${high * 100}%` });
    return element;
  }));
  if (!video.paused && !video.ended && dialog.open) (video.requestVideoFrameCallback?.bind(video) ?? requestAnimationFrame)(once);
}

let asked = false;
function once() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}

/** Where a track is at a media time, between two sightings in a straight line; null when it is not there. */
function at(sightings, time) {
  const after = sightings.findIndex((sighting) => sighting.at >= time);
  const a = sightings[after < 0 ? sightings.length - 1 : Math.max(0, after - 1)];
  const b = after < 0 ? a : sightings[after];
  if (time < a.at - 0.3 || time > b.at + 0.3) return null;
  const share = b.at > a.at ? Math.min(1, Math.max(0, (time - a.at) / (b.at - a.at))) : 0;
  return a.box.map((value, i) => value + (b.box[i] - value) * share);
}
