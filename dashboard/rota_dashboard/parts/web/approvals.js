// Approvals: who waits for a person's word, since and until when; and the two words.

import { fill, h, link, part, since, ticking, until } from "./base.js";
import { mark } from "./marks.js";
import { pager } from "./runs.js";

export default part(({ data, root, tell }) =>
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h("h1", {}, data.title),
    h("div", { class: "bar" }, h("nav", { class: "choice", "aria-label": "Which approvals" }, pager.filters(data.filters))),
    h("div", { class: `panel ${data.away ? "is-stale" : ""}` }, data.rows.length ? data.rows.map((row) => approval(row, tell)) : h("p", { class: "nothing" }, data.empty)),
    pager.pages(data),
  ),
);

/** One approval: with buttons for whoever may answer it. */
export const approval = (row, tell, isAlone = false) =>
  h(
    "div",
    { class: "asks" },
    mark(row.mark),
    h(
      "div",
      { class: "who-asks" },
      h("p", {}, isAlone ? h("b", {}, row.what ?? "This run") : link(row.workflow, { class: "plain" }, h("b", {}, row.name)), !isAlone && row.what && [" ", h("span", { class: "mono" }, row.what)], !isAlone && [" · ", link(row.run, { class: "link" }, "the run")]),
      h("p", { class: "facts" }, h("span", {}, `asked ${row.asked}`), row.host && h("span", {}, `on ${row.host}`), row.said ? h("span", {}, row.said) : h("span", {}, `needs a yes of ${row.role === "admin" ? "an admin" : "an operator"}`)),
      row.why && h("p", { class: "quiet" }, row.why),
      row.comment && h("p", { class: "comment" }, `“${row.comment}”`),
    ),
    h(
      "p",
      { class: "times-out quiet" },
      row.since && ticking("span", {}, (time) => `waits ${since(row.since)(time)}`),
      row.until && ticking("span", {}, (time) => (row.until > time ? `${until(row.until)(time)} left` : "its time is up")),
    ),
    row.may && h("p", { class: "answers" }, word(row, "approve", "Approve…", tell), word(row, "refuse", "Refuse…", tell)),
  );

const word = (row, answer, text, tell) =>
  h("button", { class: answer === "approve" ? "primary" : "", id: `${answer}-${row.id}`, "aria-label": `${text} ${row.what ?? row.name}`, onclick: () => tell("answer", { id: row.id, answer }) }, text);
