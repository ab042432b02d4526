// All that was told of a run, and what is known of its process.

import { fill, h, part } from "./base.js";
import { mark } from "./marks.js";
import { pairs } from "./span.js";

export default part(({ data, root }) =>
  fill(
    root,
    h("h2", {}, "What happened"),
    h(
      "table",
      { class: "history" },
      data.history.map((row) =>
        h("tr", {}, h("td", { class: "mono quiet" }, row.at), h("td", {}, mark(row.mark)), h("td", {}, row.what), h("td", { class: "quiet" }, row.by), h("td", { class: "quiet" }, row.why)),
      ),
    ),
    h(
      "details",
      { class: "more" },
      h("summary", {}, "Attributes"),
      pairs([...data.attributes, { name: "run id", value: data.id }, { name: "trace id", value: data.trace ?? "–" }]),
    ),
  ),
);
