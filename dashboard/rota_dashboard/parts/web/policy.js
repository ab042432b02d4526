// The head of a policy: whose it is, which version is in force, by whom and why.

import { fill, h, link, part } from "./base.js";

export default part(({ data, root }) =>
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h(
      "p",
      { class: "crumbs" },
      link("/spectrum", { class: "link" }, "Spectrum"), " / ", link(data.workflow.href, { class: "link" }, data.workflow.name), " / policy",
    ), // prettier-ignore
    h(
      "div",
      { class: "title" },
      h("h1", {}, `Policy of ${data.workflow.name}`),
      h("span", { class: "pill" }, data.version),
      h("span", { class: "pill", title: data.means }, `level: ${data.level}`),
    ),
    h("p", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact))),
    data.notes.map((note) => h("p", { class: "note-line" }, note)),
  ),
);
