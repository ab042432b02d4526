// Every workflow in a row: how it is, how far along, how it was, how long it took, when it is due.

import { h, length, link, now, part, ticking, until } from "./base.js";
import { ticks } from "./levels.js";
import { legend, mark, strip } from "./marks.js";
import { byName, table } from "./table.js";

const FILTERS = {
  all: ["All", () => true],
  attention: ["Attention", (row) => row.rank < 4],
  running: ["Running", (row) => row.last === "r"],
  slow: ["Slow", (row) => row.off > 0],
};
const ORDERS = {
  attention: ["Attention first", (a, b) => a.rank - b.rank || byName(a, b)],
  name: ["By name", byName],
  next: ["Next slot first", (a, b) => (a.due ?? Infinity) - (b.due ?? Infinity) || byName(a, b)],
  longest: ["Longest first", (a, b) => (b.took ?? -1) - (a.took ?? -1) || byName(a, b)],
};

export default part(({ data, root, state }) => {
  state.rows = rowsOf(data);
  const kind = { name: "workflows", find: "Find a workflow or tag", filters: FILTERS, orders: ORDERS, above: legend("sflmtc?kxr"), head: head(), draw, heights: [34, 56] };
  return table(root, state, kind, data.away);
});

/** Columns → rows. */
function rowsOf(data) {
  return data.names.map((name, i) => {
    const tags = data.tags[i];
    return {
      name, tags, usual: data.usual[i], off: data.off[i], took: data.took[i], strip: data.strips[i], level: data.levels[i], due: data.due[i], paused: data.paused[i],
      rank: data.ranks[i], started: data.started[i], last: data.strips[i].at(-1),
      text: `${name} ${tags.join(" ")}`.toLowerCase(),
    }; // prettier-ignore
  });
}

const head = () =>
  h(
    "div",
    { class: "head", "aria-hidden": "true" },
    h("span"), h("span", {}, "Workflow"), h("span", {}, "Level"), h("span", {}, "Last 30 outcomes, newest right"),
    h("span", { class: "right" }, "Last run"), h("span", {}, "against its usual"), h("span", { class: "right" }, "Next slot"),
  ); // prettier-ignore

function draw(row) {
  return link(
    `/workflow?name=${encodeURIComponent(row.name)}`,
    { class: "row", role: "listitem" },
    mark(row.last),
    h("span", { class: "name" }, h("b", { title: row.name }, row.name), row.tags.slice(0, 3).map((tag) => h("span", { class: "tag" }, tag))),
    ticks(row.level),
    strip(row.strip, innerWidth < 760 ? 22 : 30),
    took(row),
    band(row),
    h("span", { class: "right quiet next" }, row.paused ? "paused" : row.due === null ? "–" : ticking("span", {}, until(row.due))),
  );
}

function took(row) {
  const props = { class: `right ${row.off ? "outside" : ""}` };
  if (row.last === "r" && row.started !== null) return ticking("span", props, (time) => length((time - row.started) / 1000));
  return h("span", props, length(row.took));
}

/** The last duration against the usual band, on a rail of a logarithmic length. */
function band(row) {
  if (row.usual === null) return h("span");
  const [low, high] = row.usual.map((seconds) => Math.max(seconds, 0.001));
  const middle = Math.sqrt(low * high);
  const place = (seconds) => 59 + Math.max(-55, Math.min(55, (Math.log(Math.max(seconds, 1e-4) / middle) / Math.log(4)) * 30));
  const [from, to] = [place(low), place(high)];
  const seconds = row.last === "r" && row.started !== null ? (now() - row.started) / 1000 : row.took;
  const x = seconds === null ? null : place(seconds);
  const words = `usual: ${length(low)} to ${length(high)}`;
  return h(
    "svg",
    { class: "band", viewBox: "0 0 118 16", role: "img", "aria-label": row.off ? `outside what is ${words}` : words },
    h("title", {}, words),
    h("rect", { class: "rail", x: 0, y: 7.2, width: 118, height: 1.6, rx: 0.8 }),
    h("rect", { class: "usual", x: from, y: 5, width: Math.max(4, to - from), height: 6, rx: 3 }),
    x !== null && (row.off ? h("path", { class: "off", d: `M${x} 3l4.5 5-4.5 5-4.5-5z` }) : h("rect", { class: "last", x: x - 1.1, y: 2.5, width: 2.2, height: 11 })),
  );
}
