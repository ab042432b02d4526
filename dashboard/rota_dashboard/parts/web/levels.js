// How far along a workflow is, from observe to orchestrate: five ticks and the word.

import { h } from "./base.js";

export const LEVELS = ["observe", "expect", "retry", "gate", "orchestrate"];

/** Five ticks, those that are reached filled, and the word for the last of them. */
export const ticks = (level) =>
  h("span", { class: "level" }, LEVELS.map((_, n) => h("i", { class: n <= level ? "on" : "" })), h("span", {}, LEVELS[level]));
