// The head of a workflow: its name, how it is, what is expected of it, what it reports, and what is wrong.

import { fill, h, link, part, ticking, until } from "./base.js";

export default part(({ data, root }) => {
  const pills = [
    h("span", { class: `pill ${data.tone}` }, data.state),
    data.paused && h("span", { class: "pill" }, "paused"),
    link(data.policy, { class: "pill is-link", title: "its policy" }, `level: ${data.level}`),
    data.tags.map((tag) => h("span", { class: "tag" }, tag)),
  ];
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h(
      "div",
      { class: data.away ? "is-stale" : "" },
      h("p", { class: "crumbs" }, link("/", { class: "link" }, "Overview"), " / ", data.crumb && family(data.crumb)),
      h("div", { class: "top" }, h("div", { class: "title" }, h("h1", {}, data.name), pills), lamps(data.lamps)),
      h("p", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact)), data.due && due(data.due)),
      data.causes.map(cause),
    ),
  );
});

const family = (name) => link(`/?q=${encodeURIComponent(`${name}.`)}`, { class: "link" }, name);
const due = (at) => h("span", {}, "next slot ", ticking("span", {}, (time) => (at > time ? `in ${until(at)(time)}` : "is due")));

const lamps = (list) =>
  h(
    "ul",
    { class: "lamps", "aria-label": "what it reports" },
    list.map((lamp) =>
      h("li", { title: `${lamp.level}: ${lamp.says}` }, h("i", { class: lamp.bad ? "bad" : lamp.on ? "on" : "" }), lamp.level, h("span", { class: "hidden" }, `: ${lamp.says}`)),
    ),
  );

const cause = (each) =>
  h(
    "div",
    { class: `wrong is-${each.tone}` },
    h(
      "div",
      { class: "cause" },
      link(each.href, { class: "plain" }, h("b", {}, each.title)),
      each.state && h("span", { class: "quiet" }, ` · ${each.state}`),
      h("p", {}, each.detail, " ", each.run && link(each.run, { class: "link" }, "See the run"), " ", link(each.href, { class: "link" }, "See the incident")),
    ),
  );
