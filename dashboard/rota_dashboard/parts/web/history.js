// How a workflow did: figures, a calendar, durations, its runs, and the policy in force.

import { fill, h, link, part } from "./base.js";
import { calendar } from "./calendar.js";
import { durations } from "./durations.js";
import { figures } from "./figures.js";
import { pager, rows } from "./runs.js";

export default part(({ data, root, state }) => {
  const open = state.policy?.open ?? false;
  fill(
    root,
    h(
      "div",
      { class: data.away ? "is-stale" : "" },
      figures(data.figures),
      calendar(data.calendar),
      durations(data.durations),
      h(
        "div",
        { class: "bar" },
        h("h2", { id: "runs" }, "Runs"),
        h("nav", { class: "choice", "aria-label": "Which runs" }, pager.filters(data.history.filters)),
      ),
      rows(data.history.rows),
      pager.pages(data.history),
      (state.policy = policy(data.policy, open)),
    ),
  );
});

function policy({ keys, versions, notes, href }, open) {
  if (!keys.length && !versions.length) return h("p", { class: "more quiet" }, "It has no policy: it is observed. ", link(href, { class: "link" }, "Write one"));
  return h(
    "details",
    { open, class: "more" },
    h("summary", {}, "Policy in force"),
    h(
      "table",
      {},
      keys.map((row) => h("tr", {}, h("th", { class: "mono" }, row.key), h("td", { class: "mono" }, row.value), h("td", { class: "quiet" }, row.source))),
    ),
    h("p", {}, link(href, { class: "link" }, "Edit it, try it on the past, or go back to an earlier version")),
    notes.map((note) => h("p", { class: "quiet" }, note)),
    h(
      "table",
      {},
      versions.map((row) => h("tr", {}, h("th", {}, row.version), h("td", {}, row.who), h("td", {}, row.when), h("td", { class: "quiet" }, row.why))),
    ),
  );
}
