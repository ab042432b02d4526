// All runs of a day as bars in lanes. Where the line stands, the runs of that moment are listed below.

import { count, fill, go, h, length, part, plural, remember, remembered, visible } from "./base.js";
import { sized } from "./canvas.js";
import { BAD, meaning, word } from "./marks.js";
import { rows } from "./runs.js";

const BAR = 9, GAP = 7, MOST = 14, TALLEST = 560; // prettier-ignore

export default part(({ data, root, state }) => {
  state.day = unpack(data);
  state.lanes = stacked(state.day);
  if (!state.box) frame(root, state);
  state.inner.style.height = `${Math.max(40, state.lanes.at(-1)?.bottom ?? 0)}px`;
  state.box.style.height = `${Math.min(TALLEST, Math.max(40, state.lanes.at(-1)?.bottom ?? 0))}px`;
  state.none.hidden = state.day.count > 0;
  place(state, seconds(remembered("at"), state.day));
  const watch = new ResizeObserver(() => paint(state));
  watch.observe(state.box);
  document.fonts.ready.then(() => paint(state));
  return () => watch.disconnect();
}, true);

function unpack(given) {
  const bytes = given.byteOffset % 4 ? given.slice() : given;
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const n = header.count;
  let at = bytes.byteOffset + 4 + size;
  const take = (kind, width = 1) => {
    const array = new kind(bytes.buffer, at, n * width);
    at += n * width * kind.BYTES_PER_ELEMENT;
    return array;
  };
  const [start, end, lane, name, mark] = [Float32Array, Float32Array, Uint32Array, Uint32Array, Uint8Array].map((kind) => take(kind));
  const ids = take(Uint8Array, 16);
  const origin = header.start; // of the day, in Unix ms
  const passed = Math.min(header.seconds, (header.now - origin) / 1000);
  return {
    ...header, origin, start, end, lane, mark, passed,
    nameOf: (i) => header.names[name[i]],
    endOf: (i) => (Number.isNaN(end[i]) ? Math.max(passed, start[i]) : end[i]),
    letter: (i) => String.fromCharCode(mark[i]),
    hrefOf: (i) => {
      const hex = [...ids.subarray(i * 16, i * 16 + 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      return /^0+$/.test(hex) ? null : `/run?id=${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")}`;
    },
  }; // prettier-ignore
}

/** The bars of each lane, one below the other where they overlap. */
function stacked(day) {
  const lanes = day.lanes.map((name) => ({ name, bars: [], bad: 0 }));
  for (let i = 0; i < day.count; i++) lanes[day.lane[i]].bars.push(i);
  let top = 0;
  for (const lane of lanes) {
    lane.bars.sort((a, b) => day.start[a] - day.start[b]);
    const free = [];
    lane.level = lane.bars.map((i) => {
      let level = free.findIndex((end) => end <= day.start[i]);
      if (level < 0) level = free.length < MOST ? free.length : i % MOST;
      free[level] = day.endOf(i) + day.seconds / 1200; // what is drawn at least so wide needs as much room
      lane.bad += BAD.includes(day.letter(i)) ? 1 : 0;
      return level;
    });
    lane.top = top;
    top += Math.max(26, free.length * BAR + 2 * GAP);
    lane.bottom = top;
  }
  return lanes;
}

function frame(root, state) {
  state.axis = h("canvas", { class: "axis" });
  state.canvas = h("canvas", { class: "bars", tabindex: 0, role: "img", "aria-label": "runs of the day; left and right move the line by a minute" });
  state.labels = h("div", { class: "labels" });
  state.inner = h("div", { class: "inner" }, state.labels, state.canvas);
  state.box = h("div", { class: "scroller" }, state.inner);
  state.tip = h("div", { class: "tip", hidden: true });
  state.none = h("p", { class: "nothing" }, "Nothing ran on this day, as far as rota knows.");
  state.clock = h("input", { id: "at", type: "time", "aria-label": "Time", class: "short", onchange: () => place(state, seconds(state.clock.value, state.day)) });
  state.there = h("span", { class: "quiet", role: "status" });
  state.list = h("div");
  fill(
    root,
    h("div", { class: "waterfall panel" }, h("div", { class: "times" }, state.axis), state.box, state.none, state.tip),
    h("div", { class: "bar" }, h("h2", {}, "What ran at"), state.clock, state.there),
    state.list,
  );
  state.box.addEventListener("scroll", () => paint(state), { passive: true });
  state.canvas.addEventListener("mousemove", (event) => hover(event, state));
  state.canvas.addEventListener("mouseleave", () => (state.tip.hidden = true));
  state.canvas.addEventListener("click", (event) => {
    const i = barAt(event, state);
    const href = i === null ? null : state.day.hrefOf(i);
    if (href) go(href);
    else place(state, timeAt(event, state));
  });
  state.axis.addEventListener("click", (event) => place(state, timeAt({ offsetX: event.offsetX - state.left }, state)));
  state.canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -60, ArrowRight: 60, PageUp: -3600, PageDown: 3600 }[event.key];
    if (step) (event.preventDefault(), place(state, Math.max(0, Math.min(state.day.seconds - 60, (state.at ?? 0) + step))));
  });
}

/** `02:13` as seconds since the day began. Of a time that clocks show twice, the first; of one that they skip, the next. */
function seconds(text, { turn }) {
  const found = /^(\d{1,2}):(\d{2})/.exec(text);
  if (!found) return null;
  const at = Number(found[1]) * 3600 + Number(found[2]) * 60;
  return turn && at >= turn[0] ? Math.max(turn[0], at - turn[1]) : at;
}
const clock = (at, { turn }) => digits(turn && at >= turn[0] ? at + turn[1] : at);
const digits = (at) => `${String(Math.floor(at / 3600) % 24).padStart(2, "0")}:${String(Math.floor(at / 60) % 60).padStart(2, "0")}`;

/** Put the line somewhere, and list what ran then. */
function place(state, at) {
  state.at = at;
  const { day } = state;
  state.clock.value = at === null ? "" : clock(at, day);
  remember({ at: state.clock.value });
  const found = [];
  if (at !== null) for (let i = 0; i < day.count; i++) if (day.start[i] < at + 60 && day.endOf(i) >= at) found.push(i);
  const once = [...new Map(found.map((i) => [day.hrefOf(i) ?? i, i])).values()].sort((a, b) => day.start[a] - day.start[b]);
  state.there.textContent = at === null ? "Choose a time, or click into the picture." : plural(once.length, "run");
  state.list.replaceChildren(...(at === null ? [] : [rows(once.slice(0, 200).map((i) => item(day, i)), "Nothing ran then, as far as rota knows.")]));
  paint(state);
}

function item(day, i) {
  const runs = Number.isNaN(day.end[i]);
  return {
    mark: day.letter(i), href: day.hrefOf(i), name: day.nameOf(i), state: word(day.letter(i)), verdict: "",
    when: day.start[i] < 0 ? "the day before" : `started ${clock(day.start[i], day)}`,
    took: runs ? null : day.end[i] - day.start[i], since: runs ? day.start[i] * 1000 + day.origin : null, note: day.lanes[day.lane[i]] === day.nameOf(i) ? "" : day.lanes[day.lane[i]],
  }; // prettier-ignore
}

function paint(state) {
  const { box, day } = state;
  if (!box.isConnected || !box.clientWidth) return;
  state.left = box.clientWidth < 640 ? 96 : 190;
  const width = box.clientWidth - state.left;
  const look = getComputedStyle(box);
  const colour = Object.fromEntries(["good", "bad", "warn", "odd", "live", "mute", "line", "ground"].map((name) => [name, look.getPropertyValue(`--${name}`).trim()]));
  colour.good = `color-mix(in srgb, ${colour.good} 62%, ${colour.ground})`;
  state.x = (at) => (at / day.seconds) * width;
  const brush = sized(state.canvas, width, box.clientHeight);
  Object.assign(state.canvas.style, { left: `${state.left}px`, top: `${box.scrollTop}px` });
  axis(state, width, colour);
  const hours = width < 500 ? 6 : 3;
  brush.fillStyle = colour.line;
  for (let at = 0; at <= day.seconds; at += hours * 3600) brush.fillRect(Math.round(state.x(at)), 0, 1, box.clientHeight);
  const seen = state.lanes.filter((lane) => lane.bottom > box.scrollTop && lane.top < box.scrollTop + box.clientHeight);
  for (const lane of seen) bars(brush, state, lane, colour, width);
  if (state.at !== null) {
    brush.fillStyle = colour.live;
    brush.fillRect(Math.round(state.x(state.at)) - 0.5, 0, 1.5, box.clientHeight);
  }
  labels(state, seen);
}

function bars(brush, state, lane, colour, width) {
  const { day, box } = state;
  const top = lane.top - box.scrollTop;
  brush.fillStyle = colour.line;
  brush.fillRect(0, top + lane.bottom - lane.top - 1, width, 1);
  for (const wrong of [false, true]) {
    lane.bars.forEach((i, n) => {
      const letter = day.letter(i);
      if (BAD.includes(letter) !== wrong) return;
      const [a, b] = [Math.max(0, state.x(day.start[i])), Math.min(width, state.x(day.endOf(i)))];
      const y = top + GAP + lane.level[n] * BAR;
      brush.fillStyle = colour[meaning(letter)];
      brush.fillRect(a, wrong ? y - 1 : y + 1, Math.max(wrong ? 2.5 : 1.5, b - a), wrong ? BAR : BAR - 4);
    });
  }
}

function axis(state, width, colour) {
  const brush = sized(state.axis, width + state.left, 24);
  brush.fillStyle = colour.mute;
  brush.textBaseline = "middle";
  const hours = width < 500 ? 6 : 3;
  for (let at = 0; at < state.day.seconds; at += hours * 3600) brush.fillText(clock(at, state.day), state.left + state.x(at) + 4, 12);
}

function labels(state, seen) {
  state.labels.style.width = `${state.left}px`;
  state.labels.replaceChildren(
    ...seen.map((lane) =>
      h("div", { class: "lane", style: `top:${lane.top}px;height:${lane.bottom - lane.top}px`, title: lane.name }, h("span", { class: "cut" }, lane.name), h("small", { class: lane.bad ? "is-bad" : "" }, count(lane.bars.length))),
    ),
  );
}

const timeAt = (event, state) => Math.floor(Math.max(0, Math.min(1, event.offsetX / (state.box.clientWidth - state.left))) * (state.day.seconds / 60 - 1)) * 60;

function barAt(event, state) {
  const y = event.offsetY + state.box.scrollTop;
  const lane = state.lanes.find((each) => y >= each.top && y < each.bottom);
  if (!lane) return null;
  const { day } = state;
  const level = Math.floor((y - lane.top - GAP) / BAR);
  let best = null;
  lane.bars.forEach((i, n) => {
    if (lane.level[n] !== level) return;
    const [a, b] = [state.x(day.start[i]) - 2, Math.max(state.x(day.endOf(i)), state.x(day.start[i]) + 3) + 2];
    if (event.offsetX >= a && event.offsetX <= b && (best === null || BAD.includes(day.letter(i)))) best = i;
  });
  return best;
}

function hover(event, state) {
  const { day } = state;
  const i = barAt(event, state);
  state.canvas.style.cursor = i === null ? "crosshair" : "pointer";
  state.tip.hidden = i === null;
  if (i === null) return;
  const took = Number.isNaN(day.end[i]) ? "running" : length(day.end[i] - day.start[i]);
  state.tip.textContent = visible(`${day.nameOf(i)}: ${word(day.letter(i))}, ${clock(Math.max(0, day.start[i]), day)}, ${took}`);
  const box = state.tip.parentElement.getBoundingClientRect();
  state.tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - 280)}px`;
  state.tip.style.top = `${event.clientY - box.top + 16}px`;
}
