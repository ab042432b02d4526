// Who holds what a workflow needs to run, and who waits for it, in the order in which they asked.

import { fill, h, link, part, plural, since, ticking, until } from "./base.js";

export default part(({ data, root }) =>
  fill(
    root,
    h("h2", {}, "Permission now", h("span", { class: "quiet" }, data.facts.map((fact) => ` · ${fact}`))),
    (data.held.length > 0 || data.waiting.length > 0) &&
      h("div", { class: "panel line-of" }, data.held.map(holder), more(data.more[0], "more holder"), data.waiting.map(waiter), more(data.more[1], "more waiter")),
  ),
);

const more = (number, word) => number > 0 && h("p", { class: "quiet" }, plural(number, word));

const holder = (each) =>
  h(
    "div",
    { class: "place" },
    h("span", { class: "pill live" }, "holds"),
    link(each.href, { class: "link" }, each.name ?? "a run", each.what && ` · ${each.what}`),
    h("span", { class: "quiet cut" }, [each.host && `on ${each.host}`, each.scope].filter(Boolean).join(" · ")),
    ticking("span", { class: "quiet" }, (time) => `for ${since(each.since)(time)}`),
    ticking("span", { class: "quiet right" }, (time) => (each.until > time ? `to be renewed within ${until(each.until)(time)}` : "ends")),
  );

const waiter = (each) =>
  h(
    "div",
    { class: "place" },
    h("span", { class: "pill warn" }, `waits, ${each.place}.`),
    link(each.href, { class: "link" }, "a run", each.what && ` · ${each.what}`),
    h("span", { class: "quiet cut" }, each.note),
    ticking("span", { class: "quiet" }, (time) => `for ${since(each.since)(time)}`),
    h("span"),
  );
