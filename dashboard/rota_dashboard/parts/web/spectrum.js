// The spectrum: five steps with how many stand on each, then every workflow on its way, with what the next step would have saved.

import { count, fill, h, link, part, since, ticking } from "./base.js";
import { LEVELS } from "./levels.js";
import { mark } from "./marks.js";
import { byName, press, table } from "./table.js";

const FILTERS = { all: ["All", () => true], gain: ["Worth a step", (row) => row.next.saved > 0], asking: ["Functions ask", (row) => row.coverage] };
for (const [n, level] of LEVELS.entries()) FILTERS[level] = [level, (row) => row.level === n, true]; // by the stairs
const ORDERS = {
  gain: ["Most to gain first", (a, b) => b.next.saved - a.next.saved || byName(a, b)],
  name: ["By name", byName],
  high: ["Furthest first", (a, b) => b.level - a.level || byName(a, b)],
  low: ["Least far first", (a, b) => a.level - b.level || byName(a, b)],
};

export default part(({ data, root, state }) => {
  state.rows = data.names.map((name, i) => ({
    name, tags: data.tags[i], level: data.levels[i], last: data.lasts[i], next: data.next[i], href: data.hrefs[i], coverage: data.coverage[i],
    text: `${name} ${data.tags[i].join(" ")}`.toLowerCase(),
  })); // prettier-ignore
  state.top ??= h("div");
  fill(state.top, top(data), stairs(data.steps, state));
  const chosen = (key) => state.top.querySelectorAll(".step").forEach((each) => each.setAttribute("aria-pressed", String(each.value === key)));
  const kind = { name: "spectrum", find: "Find a workflow or tag", filters: FILTERS, orders: ORDERS, above: state.top, head: head(), draw, heights: [38, 78], chosen };
  return table(root, state, kind, data.away);
});

const top = (data) => [
  data.away && h("p", { class: "away", role: "status" }, data.away),
  h("h1", {}, data.title),
  h("p", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact)), ticking("span", {}, (time) => `worked out ${since(data.told)(time)} ago`)),
];

/** The levels as stairs, each a button that shows who stands there. */
const stairs = (steps, state) => {
  const most = Math.max(1, ...steps.map((step) => step.count));
  return h(
    "div",
    { class: "stairs", role: "group", "aria-label": "Levels" },
    steps.map((step, n) =>
      h(
        "button",
        { class: "step", value: step.level, "aria-pressed": "false", onclick: (event) => press(state, event.currentTarget.getAttribute("aria-pressed") === "true" ? "all" : step.level) },
        track(n, 64),
        h("b", {}, step.level),
        h("span", { class: "number" }, count(step.count)),
        h("small", {}, step.means),
        h("i", { class: "share" }, h("i", { style: `width:${step.count ? Math.max(2, (100 * step.count) / most) : 0}%` })),
      ),
    ),
  );
};

/** Five places on a line: filled as far as it has come, a ring where it could go. */
function track(level, width, next) {
  const at = (n) => 7 + (n * (width - 14)) / 4;
  const words = `level ${LEVELS[level]}, ${level + 1} of ${LEVELS.length}`;
  return h(
    "svg",
    { class: "track", viewBox: `0 0 ${width} 14`, width, height: 14, role: "img", "aria-label": words },
    h("title", {}, words),
    h("rect", { class: "rail", x: at(0), y: 6.25, width: at(4) - at(0), height: 1.5 }),
    level > 0 && h("rect", { class: "way", x: at(0), y: 6, width: at(level) - at(0), height: 2 }),
    LEVELS.map((_, n) => {
      const size = n === level ? 4.5 : 2.6;
      if (n <= level) return h("rect", { class: n === level ? "here" : "way", x: at(n) - size, y: 7 - size, width: 2 * size, height: 2 * size, rx: n === level ? 2 : 1 });
      return h("rect", { class: n === next ? "could" : "ahead", x: at(n) - 3, y: 4, width: 6, height: 6, rx: 1.5 });
    }),
  );
}

const head = () =>
  h(
    "div",
    { class: "head", "aria-hidden": "true" },
    h("span"), h("span", {}, "Workflow"), h("span", { class: "way-head" }, "observe", h("span", {}, "orchestrate")),
    h("span", {}, "Functions that ask"), h("span", {}, "The next step"), h("span"),
  ); // prettier-ignore

function draw(row) {
  const { next } = row;
  return h(
    "div",
    { class: "row", role: "listitem" },
    mark(row.last),
    link(`/workflow?name=${encodeURIComponent(row.name)}`, { class: "name" }, h("b", { title: row.name }, row.name), row.tags.slice(0, 2).map((tag) => h("span", { class: "tag" }, tag))),
    h("span", { class: "stand" }, track(row.level, innerWidth < 760 ? 110 : 150, next.to ? LEVELS.indexOf(next.to) : null), h("span", { class: "quiet" }, LEVELS[row.level])),
    coverage(row.coverage),
    h("span", { class: `why ${next.saved ? "" : "quiet"}`, title: next.more ?? next.text }, next.saved > 0 && saved(next), h("span", { class: "cut" }, next.text)),
    next.to ? link(row.href, { class: next.saved ? "go is-worth" : "go", "aria-label": `${row.name}: to ${next.to}` }, `to ${next.to} →`) : link(row.href, { class: "go" }, "policy →"),
  );
}

const coverage = (given) =>
  given
    ? h("span", { class: "cover", title: given.words, "aria-label": given.words }, h("i", { class: "share" }, h("i", { style: `width:${given.percent}%` })), `${given.percent} %`)
    : h("span", { class: "cover quiet" }, "–");

/** So many of so many, as blocks: the saved ones filled. */
function saved({ saved, of }) {
  const shown = Math.min(of, 10);
  const filled = of > 10 ? Math.max(1, Math.round((10 * saved) / of)) : saved;
  return h("span", { class: "blocks", role: "img", "aria-label": `${saved} of ${of}` }, Array.from({ length: shown }, (_, n) => h("i", { class: n < filled ? "on" : "" })));
}
