// The figures of a run, and what differs from the last good one.

import { fill, h, part } from "./base.js";
import { figures } from "./figures.js";

export default part(({ data, root }) =>
  fill(
    root,
    h(
      "div",
      { class: data.away ? "is-stale" : "" },
      figures(data.figures),
      data.differences.length > 0 && [
        h("h2", {}, "What differs from the last good run"),
        h(
          "table",
          { class: "differences" },
          h("tr", {}, h("th", {}), h("th", {}, "then"), h("th", {}, "now")),
          data.differences.map((row) => h("tr", {}, h("th", {}, row.what), h("td", {}, row.then), h("td", {}, h("b", {}, row.now)))),
        ),
      ],
    ),
  ),
);
