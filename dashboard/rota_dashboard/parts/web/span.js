// One span: what it says of itself.

import { fill, h, part } from "./base.js";

export default part(({ data, root }) =>
  fill(
    root,
    h(
      "div",
      { class: "panel detail" },
      h("p", {}, h("b", {}, data.name), " ", h("span", { class: "facts" }, data.facts.map((fact) => h("span", {}, fact)))),
      data.error && h("p", { class: "type" }, data.error),
      data.stack && h("pre", { class: "stack", tabindex: 0 }, data.stack),
      pairs(data.attributes),
    ),
  ),
);

export const pairs = (list) =>
  h("table", { class: "pairs mono" }, list.map((each) => h("tr", {}, h("th", {}, each.name), h("td", {}, each.value))));
