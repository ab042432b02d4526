// How two texts differ, line by line: a sign before each line, so that colour is not all there is.

import { h } from "./base.js";

const KINDS = { "+": "added", "-": "removed", "@": "gap" };

/** `lines`: [sign, text], as `shape.policy.compared` gives them. */
export const diff = (lines, empty = "No difference.") =>
  lines.length
    ? h("pre", { class: "diff", tabindex: 0 }, lines.map(([sign, text]) => h("span", { class: KINDS[sign] ?? "" }, sign === "@" ? "⋯" : `${sign} ${text}`)))
    : h("p", { class: "quiet" }, empty);
