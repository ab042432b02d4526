// A cell a day, its worst outcome; columns are weeks, Monday on top. Shapes within the cells say what colours say.

import { h } from "./base.js";
import { meaning } from "./marks.js";

const W = 22, H = 13, GAP = 3; // prettier-ignore
const LEFT = 34, TOP = 16; // prettier-ignore

// what is drawn in a cell: [path on it, in the colour of the ground], or a hollow cell with an outline
const INSIDE = {
  f: "M8.2 4l5.6 5m0-5l-5.6 5",
  c: "M11 3.4v2.2m0 2v2.2",
  t: "M8 4.2h6m-3 0v5",
  u: "M8 6.5h6",
};
const HOLLOW = { m: ["bad", "M9 6.5h4"], "?": ["mute", ""], k: ["mute", "M8 6.5h6"] };

export function calendar({ cells, months, caption, zone }) {
  const weeks = Math.ceil(cells.length / 7);
  const width = LEFT + weeks * (W + GAP);
  const height = TOP + 7 * (H + GAP);
  const names = ["Mon", "", "Wed", "", "Fri", "", "Sun"].map((name, i) => h("text", { x: 0, y: TOP + i * (H + GAP) + 10 }, name));
  const above = months.map(([week, name]) => h("text", { x: LEFT + week * (W + GAP), y: 9 }, name));
  const drawn = cells.map(([letter, says], i) => cell(letter, says, LEFT + Math.floor(i / 7) * (W + GAP), TOP + (i % 7) * (H + GAP)));
  return h(
    "figure",
    {},
    h("h2", {}, "Last 12 months"),
    h("div", { class: "wide" }, h("svg", { class: "calendar", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": caption }, above, names, drawn)),
    h("figcaption", { class: "quiet" }, `${caption} Days of ${zone}.`),
  );
}

function cell(letter, says, x, y) {
  const at = `translate(${x} ${y})`;
  const title = h("title", {}, says);
  if (!letter) return h("g", { transform: at }, title, h("rect", { class: "none", width: W, height: H, rx: 2 }));
  if (letter in HOLLOW) {
    const [kind, path] = HOLLOW[letter];
    const outline = { class: `hollow ${kind} ${letter === "?" ? "dotted" : ""}`, x: 0.7, y: 0.7, width: W - 1.4, height: H - 1.4, rx: 2 };
    return h("g", { transform: at }, title, h("rect", outline), path && h("path", { class: `stroke ${kind}`, d: path }));
  }
  if (letter === "l") {
    const roof = `M${W} 0v${H}h${-W}z`;
    return h("g", { transform: at }, title, h("rect", { class: "good pale", width: W, height: H, rx: 2 }), h("path", { class: "warn", d: roof }));
  }
  const kind = meaning(letter);
  return h(
    "g",
    { transform: at },
    title,
    h("rect", { class: `${kind} ${kind === "good" ? "pale" : ""}`, width: W, height: H, rx: 2 }),
    INSIDE[letter] && h("path", { class: "stroke ground", d: INSIDE[letter] }),
  );
}
