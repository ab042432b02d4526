// On the page of a run: the word that it waits for.

import { approval } from "./approvals.js";
import { fill, h, part } from "./base.js";

export default part(({ data, root, tell }) =>
  fill(root, h("div", { class: "wrong is-live", role: "alert" }, h("p", { class: "lead" }, "It waits for a person"), data.rows.map((row) => approval(row, tell, true)))),
);
