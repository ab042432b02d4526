// What a run did when: every span a bar under the one that called it. Many of one name are folded into a row; a click unfolds it.

import { count, fill, h, length, part, plural, visible } from "./base.js";
import { mix, round, sized } from "./canvas.js";
import { build, unpack } from "./spans.js";

const ROW = 24, MOST = 20, LABEL = 300; // prettier-ignore

export default part(({ data, root, state, tell }) => {
  const spans = unpack(data);
  if (state.run !== spans.run) Object.assign(state, { run: spans.run, open: new Set(), failedOnly: false, window: null, chosen: null });
  state.spans = spans;
  state.tell = tell;
  if (!state.box) frame(root, state);
  arrange(state);
  const watch = new ResizeObserver(() => paint(state));
  watch.observe(state.box);
  document.fonts.ready.then(() => paint(state));
  return () => watch.disconnect();
}, true);

function frame(root, state) {
  state.head = h("span", { class: "quiet" });
  state.failed = h("button", { "aria-pressed": "false", onclick: () => ((state.failedOnly = !state.failedOnly), arrange(state)) }, "Failed only");
  state.fit = h("button", { onclick: () => ((state.window = null), paint(state)), title: "drag over the times to look closer" }, "Fit");
  state.axis = h("canvas", { class: "axis", height: 24 });
  state.canvas = h("canvas", { class: "bars" });
  state.labels = h("div", { class: "labels", role: "tree", "aria-label": "tasks" });
  state.inner = h("div", { class: "inner" }, state.labels, state.canvas);
  state.box = h("div", { class: "scroller" }, state.inner);
  state.tip = h("div", { class: "tip", hidden: true });
  fill(
    root,
    h(
      "div",
      { class: "waterfall panel" },
      h("div", { class: "caption" }, h("b", {}, "Tasks"), state.head, h("span", { class: "choice" }, state.failed, state.fit)),
      h("div", { class: "times" }, state.axis),
      state.box,
      state.tip,
    ),
  );
  state.box.addEventListener("scroll", () => paint(state), { passive: true });
  state.canvas.addEventListener("mousemove", (event) => hover(event, state));
  state.canvas.addEventListener("mouseleave", () => (state.tip.hidden = true));
  state.canvas.addEventListener("click", (event) => press(rowAt(event, state), state));
  state.labels.addEventListener("keydown", (event) => keys(event, state));
  zooming(state);
}

/** Build the rows anew: something was unfolded, or there is new data. */
function arrange(state) {
  state.rows = build(state.spans, state.open, state.failedOnly);
  const { total, count: known } = state.spans;
  const all = total > known ? `the ${count(known)} that failed or took longest of ${count(total)} spans` : plural(known, "span");
  state.head.textContent = known === state.rows.length ? all : `${all} in ${plural(state.rows.length, "row")}`;
  state.failed.setAttribute("aria-pressed", String(state.failedOnly));
  state.failed.hidden = !state.spans.failed;
  const height = Math.min(MOST, Math.max(state.rows.length, 1)) * ROW;
  state.box.style.height = `${height}px`;
  state.inner.style.height = `${state.rows.length * ROW}px`;
  state.drawn?.forEach((label) => label.remove());
  state.drawn = new Map();
  paint(state);
}

const range = ({ spans, window }) => window ?? [0, spans.end];

/** Draw what is in sight. */
function paint(state) {
  const { box, canvas, spans } = state;
  if (!box.isConnected || !box.clientWidth) return;
  const narrow = box.clientWidth < 640;
  state.left = narrow ? 150 : LABEL;
  const width = box.clientWidth - state.left;
  const look = getComputedStyle(box);
  const colour = (name) => look.getPropertyValue(name).trim();
  state.colours = { good: mix(colour("--good"), colour("--ground"), 0.74), pale: mix(colour("--good"), colour("--ground"), 0.55), bad: colour("--bad"), live: colour("--live"), text: colour("--mute"), line: colour("--line"), call: mix(colour("--mute"), colour("--ground"), 0.6) };
  const first = Math.floor(box.scrollTop / ROW);
  const last = Math.min(state.rows.length, first + Math.ceil(box.clientHeight / ROW) + 1);
  state.labels.style.width = `${state.left}px`;
  labels(state, first, last);
  const brush = sized(canvas, width, box.clientHeight);
  canvas.style.left = `${state.left}px`;
  canvas.style.top = `${box.scrollTop}px`;
  const [from, to] = range(state);
  const x = (ms) => ((ms - from) / (to - from)) * (width - 64);
  const ticks = axis(state, width, x);
  brush.fillStyle = state.colours.line;
  for (const at of ticks) brush.fillRect(Math.round(x(at)), 0, 1, box.clientHeight);
  for (let i = first; i < last; i++) bar(brush, state, state.rows[i], i * ROW - box.scrollTop, x, width);
}

function bar(brush, state, row, y, x, width) {
  const { spans, colours } = state;
  const middle = y + ROW / 2;
  if (row.members.length > 1) return density(brush, state, row, y, x, width);
  const i = row.members[0];
  const end = spans.endOf(i);
  const [a, b] = [x(spans.start[i]), x(end)];
  if (b < 0 || a > width) return;
  const wide = Math.max(2, b - a);
  const broke = spans.failedAt(i) && !row.failedBelow;
  brush.fillStyle = broke ? colours.bad : spans.runs(i) ? colours.live : spans.elsewhere(i) ? colours.call : colours.good;
  round(brush, a, middle - 6, wide, 12);
  if (spans.failedAt(i) && row.failedBelow) {
    brush.fillStyle = colours.bad;
    brush.fillRect(b - 1.5, middle - 8, 3, 16);
  }
  brush.fillStyle = colours.text;
  brush.textBaseline = "middle";
  const words = length((end - spans.start[i]) / 1000);
  const fits = b + 8 + brush.measureText(words).width < width;
  brush.textAlign = fits ? "left" : "right";
  brush.fillText(words, fits ? b + 6 : a - 6, middle + 0.5);
}

/** Many spans in one row: where there is any, and red where one failed. */
function density(brush, { spans, colours }, row, y, x, width) {
  const there = new Uint8Array(Math.ceil(width) + 1);
  for (const i of row.members) {
    const a = Math.max(0, Math.floor(x(spans.start[i])));
    const b = Math.min(there.length - 1, Math.ceil(x(spans.endOf(i))));
    if (a >= there.length || b < 0) continue;
    there.fill(1, a, Math.max(b, a + 1));
  }
  for (const i of row.members) {
    if (!spans.failedAt(i)) continue;
    const a = Math.floor(x(spans.start[i]));
    if (a >= 0 && a < there.length) there.fill(2, a, Math.min(there.length, Math.max(a + 2, Math.ceil(x(spans.endOf(i))))));
  }
  for (let from = 0; from < there.length; ) {
    let to = from;
    while (to < there.length && there[to] === there[from]) to++;
    if (there[from]) {
      brush.fillStyle = there[from] === 2 ? colours.bad : colours.pale;
      const tall = there[from] === 2 ? 16 : 12;
      brush.fillRect(from, y + (ROW - tall) / 2, to - from, tall);
    }
    from = to;
  }
}

function labels(state, first, last) {
  for (const [i, label] of state.drawn) if (i < first || i >= last) (label.remove(), state.drawn.delete(i));
  for (let i = first; i < last; i++) {
    if (state.drawn.has(i)) continue;
    const label = name(state, state.rows[i], i);
    state.drawn.set(i, label);
    state.labels.append(label);
  }
}

function name(state, row, i) {
  const many = row.members.length;
  const failed = row.failed;
  const folds = row.canOpen;
  return h(
    "button",
    {
      class: `label ${failed ? "is-bad" : ""} ${row.key === state.chosen ? "is-chosen" : ""}`,
      style: `top:${i * ROW}px;padding-left:${12 + Math.min(row.depth, 12) * 13}px`,
      role: "treeitem", "aria-level": row.depth + 1, "aria-expanded": folds ? String(row.isOpen) : null, "data-row": i,
      tabindex: i === 0 ? 0 : -1, title: row.name, onclick: () => press(row, state),
    },
    h("i", { class: folds ? (row.isOpen ? "open" : "shut") : "" }),
    h("span", { class: "cut" }, row.name),
    row.calls > 1 && h("small", {}, `×${count(row.calls)}`),
    many > 1 && failed > 0 && h("small", {}, `${count(failed)} failed`),
  ); // prettier-ignore
}

/** A click: many are unfolded, one is told about. */
function press(row, state) {
  if (!row) return;
  if (row.canOpen) {
    state.open.has(row.key) ? state.open.delete(row.key) : state.open.add(row.key);
    if (row.members.length > 1) return arrange(state);
  }
  state.chosen = row.key;
  arrange(state);
  state.tell("span", state.spans.idOf(row.members[0]));
}

function keys(event, state) {
  const at = Number(event.target.dataset?.row ?? 0);
  const row = state.rows[at];
  const to = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: state.rows.length - 1 }[event.key];
  if (to !== undefined && state.rows[to]) {
    event.preventDefault();
    const y = to * ROW;
    if (y < state.box.scrollTop) state.box.scrollTop = y;
    if (y + ROW > state.box.scrollTop + state.box.clientHeight) state.box.scrollTop = y + ROW - state.box.clientHeight;
    paint(state);
    state.drawn.get(to)?.focus();
  }
  const wants = { ArrowRight: true, ArrowLeft: false }[event.key];
  if (wants !== undefined && row?.canOpen && row.isOpen !== wants) {
    event.preventDefault();
    row.isOpen ? state.open.delete(row.key) : state.open.add(row.key);
    arrange(state);
    state.drawn.get(at)?.focus();
  }
}

function rowAt(event, state) {
  return state.rows[Math.floor((event.offsetY + state.box.scrollTop) / ROW)];
}

function hover(event, state) {
  const row = rowAt(event, state);
  state.tip.hidden = !row;
  if (!row) return;
  const { spans } = state;
  const starts = row.members.length > 1 ? Math.min(...ends(row.members, (i) => spans.start[i])) : spans.start[row.members[0]];
  const calls = row.calls > row.members.length ? `${plural(row.calls, "call")}, ` : "";
  const says = row.members.length > 1
    ? `${row.name}: ${calls}${plural(row.members.length, "span")}, ${length(row.total / 1000)} in all${row.failed ? `, ${count(row.failed)} failed` : ""}`
    : `${row.name}: ${calls}${length((spans.endOf(row.members[0]) - spans.start[row.members[0]]) / 1000)}, after ${length(starts / 1000)}${row.failed ? ", failed" : ""}`; // prettier-ignore
  state.tip.textContent = visible(says);
  const box = state.tip.parentElement.getBoundingClientRect();
  state.tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - 260)}px`;
  state.tip.style.top = `${event.clientY - box.top + 16}px`;
}
const ends = (members, of) => (members.length > 1000 ? [of(members[0])] : members.map(of));

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];
function axis(state, width, x) {
  const [from, to] = range(state);
  const step = STEPS.find((each) => (to - from) / each <= Math.max(2, width / 130)) ?? (to - from) / 6;
  const brush = sized(state.axis, width + state.left, 24);
  const ticks = [];
  brush.fillStyle = state.colours.text;
  brush.textBaseline = "middle";
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    ticks.push(at);
    brush.fillText(at === 0 ? "0" : length(at / 1000), state.left + x(at) + 4, 12);
  }
  return ticks;
}

/** Drag over the times to look closer; a double click shows all again. */
function zooming(state) {
  const at = (event) => {
    const [from, to] = range(state);
    const width = state.box.clientWidth - state.left - 64;
    return from + (Math.max(0, event.offsetX - state.left) / width) * (to - from);
  };
  let began = null;
  state.axis.addEventListener("pointerdown", (event) => ((began = at(event)), state.axis.setPointerCapture(event.pointerId)));
  state.axis.addEventListener("pointerup", (event) => {
    const [from, to] = [began, at(event)].sort((a, b) => a - b);
    if (began !== null && to - from > (range(state)[1] - range(state)[0]) / 100) ((state.window = [from, to]), paint(state));
    began = null;
  });
  state.axis.addEventListener("dblclick", () => ((state.window = null), paint(state)));
}
