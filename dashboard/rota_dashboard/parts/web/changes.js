// What a draft of a policy would be: its level, what is wrong with it, how it differs, what it would have changed.

import { h, link } from "./base.js";
import { diff } from "./diff.js";

export const changes = (data) => [
  data.problems.length > 0 && problems(data.problems),
  data.warnings.map((each) => h("p", { class: "note-line" }, each)),
  data.difference.length > 0 &&
    h(
      "div",
      { class: "two" },
      h("section", {}, h("h2", {}, "What you change"), diff(data.difference)),
      h("section", {}, h("h2", {}, "What it would have changed"), level(data), effects(data.effects)),
    ),
];

const problems = (list) =>
  h("div", { class: "wrong", role: "alert" }, h("div", { class: "cause" }, h("b", {}, "It cannot be stored like this"), h("ul", {}, list.map((each) => h("li", {}, each)))));

const level = ({ levels, now, then }) =>
  then !== null &&
  h("p", { class: "path" }, levels.map((each, n) => [n > 0 && h("i", {}, "→"), h("span", { class: n === then ? "then" : n === now ? "now" : "" }, each)]), h("span", { class: "quiet" }, then === now ? "the level stays" : then > now ? "a step up" : "a step down"));

const effects = (given) => {
  if (!given) return h("p", { class: "quiet" }, "It is tried on the past as soon as it can be stored.");
  const looked = h("p", { class: "quiet" }, `${given.runs} of the last 90 days looked at.`);
  if (!given.rows.length && !given.unknown.length) return [h("p", {}, "Nothing would have been different."), looked];
  return [
    h("ul", { class: "effects" }, given.rows.map(effect), given.unknown.map((each) => h("li", {}, h("i", { class: "mute" }, "?"), h("span", {}, h("b", {}, each.part), ` cannot be told: ${each.why}`)))),
    looked,
  ];
};

const SIGNS = { good: "✓", bad: "✕", mute: "–", warn: "◷", live: "↻" };
const effect = (each) =>
  h(
    "li",
    {},
    h("i", { class: each.tone, "aria-hidden": "true" }, SIGNS[each.tone]),
    h("span", {}, h("b", {}, each.words), h("span", { class: "quiet" }, ` · ${each.part}${each.part === each.kind ? "" : ` (${each.kind})`}${each.reason && ": "}${each.reason} `), each.last && link(each.last, { class: "link" }, "the last one")),
  );
