// Every workflow in a row. Thousands of them: only the rows in sight are on the page, and searching asks nobody.

import { count, fill, go, h, length, link, now, part, remember, remembered, ticking, until } from "./base.js";
import { legend, mark, strip } from "./marks.js";

const ROW = 34;
const LEVELS = ["observe", "expect", "retry", "gate", "orchestrate"];
const FILTERS = {
  all: ["All", () => true],
  attention: ["Attention", (row) => row.rank < 4],
  running: ["Running", (row) => row.last === "r"],
  slow: ["Slow", (row) => row.off > 0],
};
const ORDERS = {
  attention: ["Attention first", (a, b) => a.rank - b.rank || byName(a, b)],
  name: ["By name", (a, b) => byName(a, b)],
  next: ["Next slot first", (a, b) => (a.due ?? Infinity) - (b.due ?? Infinity) || byName(a, b)],
  longest: ["Longest first", (a, b) => (b.took ?? -1) - (a.took ?? -1) || byName(a, b)],
};
const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

export default part(({ data, root, state }) => {
  state.rows = rowsOf(data);
  if (!state.list) build(root, state);
  state.away = data.away;
  choose(root, state);
  const draw = () => (state.frame ??= requestAnimationFrame(() => ((state.frame = null), show(state))));
  const options = { capture: true, passive: true };
  document.addEventListener("scroll", draw, options);
  window.addEventListener("resize", draw);
  return () => {
    document.removeEventListener("scroll", draw, options);
    window.removeEventListener("resize", draw);
  };
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

function build(root, state) {
  const search = h("input", {
    id: "find", type: "search", placeholder: "Find a workflow or tag", "aria-label": "Find a workflow or tag", value: remembered("q"),
    oninput: () => choose(root, state), autocomplete: "off", spellcheck: false,
  }); // prettier-ignore
  const chosen = remembered("show", "all") in FILTERS ? remembered("show", "all") : "all";
  const buttons = Object.entries(FILTERS).map(([key, [text]]) =>
    h("button", { "aria-pressed": String(key === chosen), value: key, onclick: press }, text),
  );
  function press(event) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
    choose(root, state);
  }
  const order = h(
    "select",
    { "aria-label": "Order", onchange: () => choose(root, state) },
    Object.entries(ORDERS).map(([key, [text]]) => h("option", { value: key, selected: key === remembered("order") }, text)),
  );
  const shown = h("span", { class: "quiet", role: "status" });
  const list = h("div", { class: "long", role: "list" });
  Object.assign(state, { search, buttons, order, shown, list });
  fill(
    root,
    legend("sflmtc?kxr"),
    h("div", { class: "bar" }, search, h("span", { class: "choice", role: "group", "aria-label": "Show" }, buttons), order, shown),
    h("div", { class: "workflows panel" }, head(), list),
  );
  root.addEventListener("keydown", (event) => keys(event, state));
  document.addEventListener("keydown", (event) => {
    const typing = event.composedPath()[0].matches?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && search.isConnected) (event.preventDefault(), search.focus());
  });
}

const head = () =>
  h(
    "div",
    { class: "head", "aria-hidden": "true" },
    h("span"), h("span", {}, "Workflow"), h("span", {}, "Level"), h("span", {}, "Last 30 outcomes, newest right"),
    h("span", { class: "right" }, "Last run"), h("span", {}, "against its usual"), h("span", { class: "right" }, "Next slot"),
  ); // prettier-ignore

/** Search, filter and order, which stay in the address. */
function choose(root, state) {
  const words = state.search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const key = state.buttons.find((button) => button.getAttribute("aria-pressed") === "true").value;
  const [, passes] = FILTERS[key];
  const found = state.rows.filter((row) => passes(row) && words.every((each) => row.text.includes(each)));
  state.found = found.sort(ORDERS[state.order.value][1]);
  remember({ q: state.search.value, show: key === "all" ? "" : key, order: state.order.value === "attention" ? "" : state.order.value });
  state.shown.textContent = `${count(found.length)} of ${count(state.rows.length)}`;
  state.list.replaceChildren();
  state.drawn = new Map();
  state.list.style.height = `${Math.max(found.length, 1) * ROW}px`;
  state.list.parentElement.classList.toggle("is-stale", Boolean(state.away));
  if (found.length) show(state);
  else state.list.append(nothing(root, state));
}

function nothing(root, state) {
  const words = state.search.value.trim();
  const clear = () => {
    state.search.value = "";
    for (const button of state.buttons) button.setAttribute("aria-pressed", String(button.value === "all"));
    choose(root, state);
    state.search.focus();
  };
  const all = `see all ${count(state.rows.length)}`;
  return words
    ? h("p", { class: "nothing" }, `Nothing matches “${words}”. `, h("button", { onclick: clear }, "Clear the search"), ` to ${all}.`)
    : h("p", { class: "nothing" }, "Nothing here now. ", h("button", { onclick: clear }, all.replace("see", "See")), ".");
}

/** Put the rows in sight on the page, and take the others off. */
function show(state) {
  if (!state.list.isConnected) return;
  const { top } = state.list.getBoundingClientRect();
  const from = Math.max(0, Math.floor(-top / rowHeight(state)) - 8);
  const to = Math.min(state.found.length, Math.ceil((innerHeight - top) / rowHeight(state)) + 8);
  for (const [i, row] of state.drawn) if (i < from || i >= to) (row.remove(), state.drawn.delete(i));
  for (let i = from; i < to; i++) {
    if (state.drawn.has(i)) continue;
    const row = draw(state.found[i], i, rowHeight(state));
    state.drawn.set(i, row);
    state.list.append(row);
  }
}

function rowHeight(state) {
  const height = innerWidth < 760 ? 56 : ROW;
  if (height !== state.height) {
    state.height = height;
    state.list.style.height = `${Math.max(state.found.length, 1) * height}px`;
    state.list.replaceChildren();
    state.drawn.clear();
  }
  return height;
}

function draw(row, i, height) {
  const href = `/workflow?name=${encodeURIComponent(row.name)}`;
  const at = { class: "row", style: `top:${i * height}px`, role: "listitem", "data-row": i };
  return link(
    href,
    at,
    mark(row.last),
    h("span", { class: "name" }, h("b", { title: row.name }, row.name), row.tags.slice(0, 3).map((tag) => h("span", { class: "tag" }, tag))),
    h("span", { class: "level" }, LEVELS.map((_, n) => h("i", { class: n <= row.level ? "on" : "" })), h("span", {}, LEVELS[row.level])),
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

/** Arrows or j and k go from row to row, Enter opens (it is a link). */
function keys(event, state) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step || (event.target.matches("input, select") && event.key.length === 1) || event.target.matches("select")) return;
  const here = event.target.closest?.("[data-row]");
  const to = here ? Number(here.dataset.row) + step : 0;
  if (to < 0) return void state.search.focus();
  if (to >= state.found.length) return;
  event.preventDefault();
  const { top } = state.list.getBoundingClientRect();
  const y = top + to * state.height;
  const main = document.querySelector('[data-testid="stMain"]') ?? document.scrollingElement;
  if (y < 60) main.scrollBy(0, y - 60);
  if (y > innerHeight - 80) main.scrollBy(0, y - innerHeight + 80);
  show(state);
  state.drawn.get(to)?.focus({ preventScroll: true });
}
