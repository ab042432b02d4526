// Incidents in rows, those that another one explains below it.

import { fill, h, link, part, since, ticking } from "./base.js";
import { mark } from "./marks.js";
import { pager } from "./runs.js";

export default part(({ data, root }) =>
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h("h1", {}, data.title),
    h("div", { class: "bar" }, h("nav", { class: "choice", "aria-label": "Which incidents" }, pager.filters(data.filters))),
    h("div", { class: `panel ${data.away ? "is-stale" : ""}` }, data.rows.length ? data.rows.map(row) : h("p", { class: "nothing" }, data.empty)),
    pager.pages(data),
  ),
);

/** One incident in a line. */
export const row = (each) =>
  link(
    each.href,
    { class: `case ${each.dim ? "is-dim" : ""} ${each.under ? "is-under" : ""}` },
    mark(each.mark),
    h("span", { class: "name cut", title: each.name }, each.name),
    h("span", { class: "cut", title: each.cause }, each.cause, each.reach && h("span", { class: "quiet" }, ` · ${each.reach}`)),
    h("span", { class: "quiet cut", title: each.note ?? "" }, each.since && ticking("span", {}, (time) => `for ${since(each.since)(time)}`), each.note && h("span", { class: "note" }, each.since ? " · " : "", each.note)),
  );
