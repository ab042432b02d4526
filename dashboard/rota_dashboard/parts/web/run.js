// The head of a run: its name and state, and above everything what went wrong.

import { fill, h, length, link, part, ticking } from "./base.js";

export default part(({ data, root }) => {
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h(
      "div",
      { class: data.away ? "is-stale" : "" },
      h("p", { class: "crumbs" }, link("/", { class: "link" }, "Overview"), " / ", link(data.workflow.href, { class: "link" }, data.workflow.name)),
      h(
        "div",
        { class: "title" },
        h("h1", {}, data.title),
        h("span", { class: `pill ${data.tone}` }, data.state),
        data.tags.map((tag) => h("span", { class: "tag" }, tag)),
        h("p", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact)), data.since && running(data.since), data.parent && h("span", {}, link(data.parent, { class: "link" }, "part of another run"))),
      ),
      error(data.error),
    ),
  );
});

const running = (at) => ticking("span", {}, (time) => `for ${length((time - at) / 1000)}`);

const error = (given) =>
  given &&
  h(
    "div",
    { class: `wrong is-${given.tone}`, role: "alert" },
    h(
      "div",
      { class: "cause" },
      h("span", { class: "type" }, given.type),
      " ",
      h("span", { class: "message" }, given.message),
      (given.why || given.good) && h("p", {}, given.why, " ", given.good && link(given.good, { class: "link" }, "See the last good run")),
      given.stack && h("pre", { class: "stack", tabindex: 0 }, given.stack),
    ),
  );
