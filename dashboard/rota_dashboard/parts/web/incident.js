// The head of an incident: what is wrong, since when, and where to look.

import { fill, h, link, part, since, ticking } from "./base.js";

export default part(({ data, root }) =>
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h("p", { class: "crumbs" }, link("/incidents", { class: "link" }, "Incidents"), " / ", data.workflow ? link(data.workflow, { class: "link" }, data.name) : data.name),
    h("div", { class: "title" }, h("h1", {}, `${data.name}: ${lower(data.title)}`), h("span", { class: `pill ${data.tone}` }, data.state)),
    h("p", { class: "facts" }, data.since && ticking("span", {}, (time) => `for ${since(data.since)(time)}`), data.facts.map((fact) => h("span", {}, fact))),
    h(
      "div",
      { class: `wrong is-${data.tone}` },
      h(
        "div",
        { class: "cause" },
        h("span", { class: "message" }, upper(data.detail)),
        data.error && h("pre", { class: "stack", tabindex: 0 }, data.error),
        h(
          "p",
          {},
          data.run && [link(data.run, { class: "link" }, "See the run"), " "],
          data.leader && [link(data.leader, { class: "link" }, "See the incident that explains it"), " "],
          link(data.timeline, { class: "link" }, "See what else ran then"),
        ),
      ),
    ),
  ),
);

const upper = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
const lower = (text) => text.slice(0, 1).toLowerCase() + text.slice(1);
