// A list of everything: thousands of rows, of which only those in sight are on the page, and searching asks nobody.

import { count, fill, h, remember, remembered } from "./base.js";

/** Show `state.rows` (each with `name` and `text`, what a search finds) as `kind` says:
 *  `find`: what is searched; `filters`, `orders`: key → [words, function], the first is the usual one, a filter whose third is true is
 *  chosen elsewhere; `above`, `head`: elements;
 *  `draw(row)`: the row; `heights`: of a row in px, on a desk and on a phone. To be called with new rows too. */
export function table(root, state, kind, away) {
  state.kind = kind;
  if (!state.list) build(root, state);
  state.away = away;
  choose(state);
  const draw = () => (state.frame ??= requestAnimationFrame(() => ((state.frame = null), show(state))));
  const options = { capture: true, passive: true };
  document.addEventListener("scroll", draw, options);
  window.addEventListener("resize", draw);
  return () => {
    document.removeEventListener("scroll", draw, options);
    window.removeEventListener("resize", draw);
  };
}

export const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

function build(root, state) {
  const { kind } = state;
  const search = h("input", {
    id: "find", type: "search", placeholder: kind.find, "aria-label": kind.find, value: remembered("q"),
    oninput: () => choose(state), autocomplete: "off", spellcheck: false,
  }); // prettier-ignore
  const usual = Object.keys(kind.filters)[0];
  const chosen = remembered("show", usual) in kind.filters ? remembered("show", usual) : usual;
  const buttons = Object.entries(kind.filters).map(([key, [text, , hidden]]) => h("button", { "aria-pressed": String(key === chosen), value: key, hidden: Boolean(hidden), onclick: () => press(state, key) }, text));
  const order = h(
    "select",
    { "aria-label": "Order", onchange: () => choose(state) },
    Object.entries(kind.orders).map(([key, [text]]) => h("option", { value: key, selected: key === remembered("order") }, text)),
  );
  const shown = h("span", { class: "quiet", role: "status" });
  const list = h("div", { class: "long", role: "list" });
  Object.assign(state, { search, buttons, order, shown, list });
  const choice = h("span", { class: "choice", role: "group", "aria-label": "Show" }, buttons);
  fill(root, kind.above, h("div", { class: "bar" }, search, choice, order, shown), h("div", { class: `${kind.name} panel` }, kind.head, list));
  root.addEventListener("keydown", (event) => keys(event, state));
  document.addEventListener("keydown", (event) => {
    const typing = event.composedPath()[0].matches?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && search.isConnected) (event.preventDefault(), search.focus());
  });
}

/** Choose a filter, as a click on it does. */
export function press(state, key) {
  for (const button of state.buttons) button.setAttribute("aria-pressed", String(button.value === key));
  choose(state);
}

/** Search, filter and order, which stay in the address. */
function choose(state) {
  const { filters, orders } = state.kind;
  const words = state.search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const key = state.buttons.find((button) => button.getAttribute("aria-pressed") === "true").value;
  const [, passes] = filters[key];
  const found = state.rows.filter((row) => passes(row) && words.every((each) => row.text.includes(each)));
  state.found = found.sort(orders[state.order.value][1]);
  const said = (value, table) => (value === Object.keys(table)[0] ? "" : value);
  remember({ q: state.search.value, show: said(key, filters), order: said(state.order.value, orders) });
  state.shown.textContent = `${count(found.length)} of ${count(state.rows.length)}`;
  state.list.replaceChildren();
  state.drawn = new Map();
  state.list.style.height = `${Math.max(found.length, 1) * state.kind.heights[0]}px`;
  state.list.parentElement.classList.toggle("is-stale", Boolean(state.away));
  state.kind.chosen?.(key);
  if (found.length) show(state);
  else state.list.append(nothing(state));
}

function nothing(state) {
  const words = state.search.value.trim();
  const clear = () => {
    state.search.value = "";
    press(state, Object.keys(state.kind.filters)[0]);
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
    const row = state.kind.draw(state.found[i]);
    row.style.top = `${i * rowHeight(state)}px`;
    row.dataset.row = i;
    state.drawn.set(i, row);
    state.list.append(row);
  }
}

function rowHeight(state) {
  const height = state.kind.heights[innerWidth < 760 ? 1 : 0];
  if (height !== state.height) {
    state.height = height;
    state.list.style.height = `${Math.max(state.found.length, 1) * height}px`;
    state.list.replaceChildren();
    state.drawn.clear();
  }
  return height;
}

/** Arrows or j and k go from row to row, Enter opens (it is a link, or has one). */
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
  const row = state.drawn.get(to);
  (row?.matches("a") ? row : row?.querySelector("a"))?.focus({ preventScroll: true });
}
