// How long the last runs took, over what was usual by then. Each bar is a link to its run.

import { go, h, length } from "./base.js";
import { meaning } from "./marks.js";

const W = 1320, H = 150, LEFT = 54, BASE = 132, TOP = 12; // prettier-ignore

export function durations({ bars, first, last }) {
  if (!bars.length) return null;
  const most = scale(bars);
  const y = (seconds) => BASE - (Math.min(seconds, most) / most) * (BASE - TOP);
  const step = (W - LEFT) / Math.max(bars.length, 30);
  const x = (i) => LEFT + i * step;
  return h(
    "figure",
    {},
    h("h2", {}, bars.length > 1 ? `Duration of the last ${bars.length} runs` : "Duration of the last run"),
    h(
      "div",
      { class: "wide" },
      h(
        "svg",
        { class: "durations", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `durations of the last ${bars.length} runs; the newest: ${bars.at(-1).says}` },
        grid(most, y),
        h("path", { class: "usual", d: band(bars, x, y, step) }),
        bars.map((bar, i) => one(bar, x(i), step, y, most)),
        h("text", { x: LEFT, y: H - 3 }, first),
        bars.length > 9 && h("text", { x: x(bars.length), y: H - 3, "text-anchor": "end" }, last),
      ),
    ),
    h("figcaption", { class: "quiet" }, "Grey: the usual band, the middle four fifths of the 30 runs before. Cross: went wrong. T: timed out. Amber: far outside its band. Cut: longer than the picture."),
  );
}

/** The top of the picture: the longest run, unless one would flatten all others. */
function scale(bars) {
  const known = bars.map((bar) => bar.seconds ?? 0).sort((a, b) => a - b);
  const high = Math.max(...bars.map((bar) => bar.high ?? 0), known[Math.floor(0.95 * (known.length - 1))]);
  return Math.max(Math.min(known.at(-1), 2.2 * high) * 1.06, 0.01);
}

const NICE = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800];
function grid(most, y) {
  const step = NICE.find((each) => most / each <= 4) ?? most / 3;
  const lines = [];
  for (let at = step; at < most; at += step) lines.push(at);
  return lines.map((at) => h("g", {}, h("line", { class: "rule", x1: LEFT, x2: W, y1: y(at), y2: y(at) }), h("text", { x: LEFT - 8, y: y(at) + 4, "text-anchor": "end" }, length(at))));
}

function band(bars, x, y, step) {
  const known = bars.map((bar, i) => [bar, i]).filter(([bar]) => bar.high !== null);
  if (!known.length) return "";
  const above = known.map(([bar, i]) => `${x(i).toFixed(1)} ${y(bar.high).toFixed(1)}H${(x(i) + step).toFixed(1)}`);
  const below = known.reverse().map(([bar, i]) => `${(x(i) + step).toFixed(1)} ${y(bar.low).toFixed(1)}H${x(i).toFixed(1)}`);
  return `M${above.join("L")}L${below.join("L")}z`;
}

function one(bar, x, step, y, most) {
  const seconds = bar.seconds ?? most * 0.04;
  const top = y(seconds);
  const width = Math.max(1, step - Math.min(2, step * 0.2));
  const kind = bar.off ? "warn" : meaning(bar.mark);
  const middle = x + width / 2;
  const open = (event) => (event.preventDefault(), go(bar.href));
  const cross = "fcu".includes(bar.mark) && h("path", { class: `stroke ${kind}`, d: `M${middle - 3.4} ${top - 10}l6.8 6.8m0 -6.8l-6.8 6.8` });
  const roof = bar.mark === "t" && h("path", { class: `stroke ${kind}`, d: `M${middle - 5} ${top - 3}h10` });
  const cut = seconds > most && h("path", { class: "stroke ground", d: `M${x - 1} ${top + 12}l${width + 2} -5` });
  const hollow = bar.seconds === null;
  return h(
    "g",
    { class: "bar-link", onclick: open },
    h("title", {}, bar.says),
    h("rect", { class: "hit", x, y: TOP - 12, width: step, height: BASE - TOP + 12 }),
    h("rect", { class: hollow ? `hollow ${kind}` : `${kind} ${kind === "good" ? "pale" : ""}`, x, y: top, width, height: Math.max(1, BASE - top) }),
    cross, roof, cut,
  ); // prettier-ignore
}
