// One shape for each outcome. Short: fine. Tall: needs someone. Hollow: no run happened. So colour is never all there is.

import { h } from "./base.js";

const H = 16; // the height of a cell; a shape stands in the middle of it
const box = (x, y, w, height) => `M${x} ${y}h${w}v${height}h${-w}z`;
const ring = (x, y, w, height, t = 1.4) =>
  box(x, y, w, height) + `M${x + t} ${y + t}v${height - 2 * t}h${w - 2 * t}v${-(height - 2 * t)}z`;
const dot = (x, y) => box(x - 1, y - 1, 2, 2);

// letter → [word, class of meaning, path at x = 0 in a cell 6 wide]
export const MARKS = {
  s: ["succeeded", "good", box(0.5, 5, 5, 6.5)],
  l: ["late", "warn", box(0.5, 8, 5, 6) + "M3 1.5l2.8 4.5h-5.6z"],
  f: ["failed", "bad", box(0.25, 1, 5.5, 14)],
  m: ["missed", "bad", ring(0.25, 1, 5.5, 14)],
  t: ["timed out", "warn", box(-0.5, 1, 7, 2.6) + box(2, 3.6, 2, 11.4)],
  c: ["crashed", "odd", box(0.25, 1, 5.5, 5.4) + box(0.25, 9.6, 5.5, 5.4)],
  u: ["upstream failed", "odd", ring(0.25, 4.5, 5.5, 7.5)],
  "?": ["unknown", "mute", dot(3, 3) + dot(3, 8) + dot(3, 13)],
  k: ["skipped", "mute", box(0.5, 7.2, 5, 1.8)],
  x: ["cancelled", "mute", "M0.4 13L4.2 3h1.6L2 13z"],
  e: ["ended, outcome unknown", "mute", box(0.5, 9.5, 5, 2.5)],
  r: ["running", "live", "M0.8 3.6L5.8 8L0.8 12.4z"],
  w: ["waiting", "mute", "M3 5L6 8L3 11L0 8zM3 6.8L1.8 8L3 9.2L4.2 8z"],
};
export const BAD = "fmtcu";

export const word = (letter) => (MARKS[letter] ?? MARKS.w)[0];
export const meaning = (letter) => (MARKS[letter] ?? MARKS.w)[1];

/** The shape of one outcome, with its word for who cannot see it. */
export function mark(letter, size = 16) {
  if (!letter) return h("span", { class: "mark" });
  const [name, kind, path] = MARKS[letter] ?? MARKS.w;
  const svg = { class: `mark ${kind}`, viewBox: `-1 0 8 ${H}`, width: size / 2, height: size, role: "img", "aria-label": name };
  return h("svg", svg, h("title", {}, name), h("path", { d: path, "fill-rule": "evenodd" }));
}

const STEP = 6.7;
/** The last outcomes side by side, the newest right: one path for each kind of them. */
export function strip(letters, most = 30) {
  const shown = letters.slice(-most);
  const paths = {};
  [...shown].forEach((letter, i) => {
    const [, kind, path] = MARKS[letter] ?? MARKS.w;
    const at = (most - shown.length + i) * STEP;
    (paths[kind] ??= []).push(moved(path, at));
  });
  const width = most * STEP;
  const bad = [...shown].filter((letter) => BAD.includes(letter)).length;
  const label = `last ${shown.length}: ${bad ? `${bad} went wrong` : "none went wrong"}, newest ${word(shown.at(-1) ?? "w")}`;
  return h(
    "svg",
    { class: "strip", viewBox: `0 0 ${width} ${H}`, width, height: H, role: "img", "aria-label": shown ? label : "no runs yet" },
    Object.entries(paths).map(([kind, list]) => h("path", { class: kind, d: list.join(""), "fill-rule": "evenodd" })),
  );
}
// Paths begin with absolute coordinates and go on with relative ones; those of M and L move along.
const moved = (path, by) => path.replace(/([ML])(-?[\d.]+) /g, (_, command, x) => `${command}${(Number(x) + by).toFixed(1)} `);

/** What the shapes mean. */
export function legend(letters) {
  return h("div", { class: "legend" }, [...letters].map((letter) => h("span", {}, mark(letter, 14), word(letter))));
}
