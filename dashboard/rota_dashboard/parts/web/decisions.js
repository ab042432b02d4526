// The attempts of a run, and what gates said to it and to its tasks: each answer with its sign, and the facts behind it.

import { count, fill, h, length, part, since, ticking } from "./base.js";
import { mark } from "./marks.js";
import { pairs } from "./span.js";

const SIGNS = { go: ["→", "good"], wait: ["◷", "warn"], skip: ["–", "mute"], deny: ["✕", "bad"], cancel: ["■", "bad"], alert: ["!", "warn"] };

export default part(({ data, root, state }) => {
  state.open ??= new Set();
  fill(
    root,
    data.attempts.length > 0 && [h("h2", {}, "Attempts"), attempts(data.attempts)],
    data.rows.length > 0 && [h("h2", {}, "What gates and rules said"), h("div", { class: "panel decisions" }, data.rows.map((row, i) => decision(row, i, state)))],
    data.more > 0 && h("p", { class: "quiet" }, `and ${count(data.more)} more: rota show`),
  );
});

const attempts = (rows) =>
  h(
    "div",
    { class: "sideways", tabindex: 0, role: "group", "aria-label": "Attempts" },
    h(
      "table",
      { class: "attempts" },
      h("tr", {}, ["", "Attempt", "State", "Reason", "Started", "Took", "Exit", "Error"].map((name) => h("th", {}, name))),
      rows.map((row) =>
        h(
          "tr",
          {},
          h("td", {}, mark(row.mark)),
          h("td", {}, row.attempt),
          h("td", {}, row.state),
          h("td", { class: "quiet" }, row.reason),
          h("td", { class: "mono" }, row.at),
          h("td", {}, row.since ? ticking("span", {}, (time) => length((time - row.since) / 1000)) : row.took),
          h("td", { class: "mono" }, row.exit),
          h("td", { class: "quiet" }, row.error),
        ),
      ),
    ),
  );

function decision(row, i, state) {
  const [sign, tone] = SIGNS[row.answer] ?? ["?", "mute"];
  const keep = (event) => (event.currentTarget.open ? state.open.add(i) : state.open.delete(i));
  return h(
    "details",
    { open: state.open.has(i), ontoggle: keep },
    h(
      "summary",
      {},
      h("span", { class: "mono quiet" }, row.at),
      h("span", { class: `sign ${tone}` }, h("i", { "aria-hidden": "true" }, sign), row.answer, row.times > 1 && h("small", {}, ` ×${count(row.times)}`)),
      h("span", { class: "cut" }, row.who ? h("b", { class: "mono" }, row.who) : "the run", row.attempt && h("span", { class: "quiet" }, ` · attempt ${row.attempt}`)),
      h("span", { class: "quiet cut" }, row.gate),
      h("span", { class: "cut", title: row.reason }, row.reason),
      h("span", { class: "right quiet" }, row.blind && h("span", { class: "pill warn", title: `nobody answered, so ${row.by} decided by the gate's own on_unreachable` }, "blind"), row.since ? ticking("span", {}, (time) => `waits ${since(row.since)(time)}`) : row.waited && `waited ${row.waited}`),
    ),
    row.answers.map((each) => h("div", { class: "said" }, h("p", {}, h("b", {}, each.kind), h("span", {}, ` says ${each.answer}: ${each.reason}`)), each.facts.length > 0 && pairs(each.facts))),
    !row.answers.length && h("p", { class: "said quiet" }, `decided by ${row.by}; no facts were kept`),
  );
}
