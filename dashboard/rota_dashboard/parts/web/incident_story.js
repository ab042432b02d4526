// What an incident speaks for, what happened to it, and who was told.

import { fill, h, part } from "./base.js";
import { row } from "./incidents.js";

export default part(({ data, root }) =>
  fill(
    root,
    data.members.length > 0 && [h("h2", {}, "It speaks for"), h("div", { class: "panel" }, data.members.map(row))],
    h("h2", {}, "What happened"),
    table(data.history.map((each) => [each.at, each.what, each.by, each.why])),
    h("h2", {}, "Who was told"),
    data.alerts.length ? table(data.alerts.map((each) => [each.at, each.channel, each.what, [each.title, each.error].filter(Boolean).join(" · ")])) : h("p", { class: "quiet" }, "Nobody: there is no channel, or another incident speaks for it."),
  ),
);

const table = (rows) => h("table", { class: "history" }, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", { class: i ? "" : "quiet" }, cell)))));
