// A calm message instead of a page.

import { fill, h, link, part } from "./base.js";

export default part(({ data, root }) =>
  fill(
    root,
    h("h1", {}, data.title),
    data.lines.map((line) => h("p", { class: "facts" }, line)),
    data.back && h("p", { class: "facts" }, link("/", { class: "link" }, "Overview")),
  ),
);
