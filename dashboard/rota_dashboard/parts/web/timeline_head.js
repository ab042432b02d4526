// A day in a sentence, and the ways to others.

import { fill, go, h, link, part, remembered } from "./base.js";

export default part(({ data, root }) => {
  const to = (changed) => `/timeline?${new URLSearchParams({ day: data.day, by: data.by.find((each) => each.on).key, ...changed })}`;
  const here = (day) => to({ day, ...(remembered("at") ? { at: remembered("at") } : {}) });
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h("h1", {}, data.title),
    h("p", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact)), h("span", {}, `times of ${data.zone}`)),
    h(
      "div",
      { class: "bar" },
      h(
        "span",
        { class: "choice" },
        link(data.before, { "aria-label": "the day before", "data-keep": "at" }, "←"),
        data.after ? link(data.after, { "aria-label": "the day after", "data-keep": "at" }, "→") : h("span", { class: "quiet" }, "→"),
      ),
      h("input", { id: "day", type: "date", value: data.day, "aria-label": "Day", class: "short", onchange: (event) => event.target.value && go(here(event.target.value)) }),
      h("span", { class: "choice", role: "group", "aria-label": "Lanes" }, data.by.map((each) => link(to({ by: each.key }), { "aria-current": each.on ? "true" : null, "data-keep": "at" }, each.text))),
    ),
  );
});
