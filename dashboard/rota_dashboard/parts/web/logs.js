// Log records, the newest at the end.

import { fill, h, part } from "./base.js";

export default part(({ data, root, state }) => {
  const before = state.box;
  const atEnd = !before || before.scrollTop + before.clientHeight >= before.scrollHeight - 4;
  const top = before?.scrollTop ?? 0;
  state.box = h(
    "div",
    { class: "logs", tabindex: 0, role: "log", "aria-label": "log records" },
    data.note && h("p", { class: "quiet" }, data.note),
    data.lines.map((line) => h("div", { class: `line ${line.tone}` }, h("time", {}, line.at), h("i", {}, line.severity), h("span", {}, line.text))),
  );
  fill(root, state.box);
  state.box.scrollTop = atEnd ? state.box.scrollHeight : top;
});
