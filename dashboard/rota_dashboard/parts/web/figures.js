// Numbers side by side.

import { h } from "./base.js";

export const figures = (list) =>
  h("dl", { class: "figures panel" }, list.map((each) => h("div", {}, h("dd", {}, each.value), h("dt", {}, each.label, each.note && h("span", {}, ` ${each.note}`)))));
