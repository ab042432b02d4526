// Every version of a policy: who, when, why, what it changed; and the way back to it.

import { fill, h, part, plural } from "./base.js";
import { diff } from "./diff.js";

export default part(({ data, root, state, tell }) => {
  if (!data.rows.length) return fill(root);
  state.open ??= new Set();
  fill(
    root,
    h("h2", {}, "Versions"),
    h("div", { class: "panel versions" }, data.rows.map((row) => version(row, data.may, state, tell))),
    data.more > 0 && h("p", { class: "quiet" }, `${plural(data.more, "older version")}: rota policy get --versions`),
  );
});

function version(row, may, state, tell) {
  const keep = (event) => (event.currentTarget.open ? state.open.add(row.version) : state.open.delete(row.version));
  return h(
    "details",
    { open: state.open.has(row.version), ontoggle: keep },
    h("summary", {}, h("b", {}, `v${row.version}`), h("span", {}, row.who), h("span", { class: "quiet" }, row.when), h("span", { class: "quiet cut", title: row.why }, row.why)),
    diff(row.difference, "It says the same as the version before."),
    may && row.can_return && h("button", { class: "small", onclick: () => (tell("restore", row.version), scrollUp()) }, `Edit back to v${row.version}`),
  );
}

const scrollUp = () => document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0, behavior: "smooth" });
