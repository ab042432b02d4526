// Runs in rows, each a link; slots to which no run came among them.

import { h, length, link, ticking } from "./base.js";
import { mark } from "./marks.js";

export function rows(list, empty = "No run yet.") {
  if (!list.length) return h("p", { class: "nothing panel" }, empty);
  const named = list.some((row) => row.name);
  return h("div", { class: `runs panel ${named ? "is-named" : ""}`, role: "list" }, list.map((row) => one(row, named)));
}

function one(row, named) {
  const inside = [
    mark(row.mark),
    named && h("b", { class: "cut", title: row.name }, row.name),
    h("span", { class: "when" }, row.when),
    h("span", { class: "quiet" }, row.state),
    h("span", { class: "quiet" }, row.verdict),
    row.since ? ticking("span", { class: "right" }, (time) => length((time - row.since) / 1000)) : h("span", { class: "right" }, length(row.took)),
    h("span", { class: "quiet cut", title: row.note }, row.note),
  ];
  const props = { class: "row", role: "listitem" };
  return row.href ? link(row.href, props, inside) : h("div", props, inside);
}

export const pager = {
  filters: (list) => list.map((each) => link(each.href, each.on ? { "aria-current": "true" } : {}, each.text)),
  pages: ({ newest, older }) =>
    (newest || older) &&
    h("p", { class: "pages" }, newest && link(newest, { class: "link" }, "← Newest"), older && link(older, { class: "link" }, "Older →")),
};
