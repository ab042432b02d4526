// The first screen of the overview: the state of everything in a sentence, the last day beside it, and what needs someone.

import { count, fill, h, link, part, plural, ticking, until } from "./base.js";
import { row } from "./incidents.js";

export default part(({ data, root }) => {
  fill(
    root,
    data.away && h("p", { class: "away", role: "status" }, data.away),
    h("div", { class: data.away ? "is-stale" : "" }, top(data), incidents(data)),
  );
});

const top = (data) =>
  h(
    "div",
    { class: "top" },
    h(
      "div",
      {},
      h("h1", {}, data.title),
      h("p", { class: "facts" }, ...data.facts.map((fact) => h("span", {}, fact)), data.approvals && h("span", {}, link("/approvals", { class: "link" }, data.approvals)), next(data.next)),
    ),
    activity(data.activity),
  );

const next = (due) =>
  due &&
  h(
    "span",
    {},
    "next: ",
    link(due.href, { class: "link" }, due.name),
    " ",
    ticking("span", {}, (time) => (due.at > time ? `in ${until(due.at)(time)}` : "now")),
  );

/** The last 24 hours: runs by when they began, what went wrong on top. */
function activity({ good, bad, other }) {
  const most = Math.max(4, ...good.map((n, i) => n + bad[i] + other[i]));
  const W = 370 / good.length;
  const bars = { good: [], bad: [], mute: [] };
  good.forEach((n, i) => {
    let y = 34;
    const up = (kind, number, least = 1) => {
      if (!number) return;
      const height = Math.max(least, (30 * number) / most);
      y -= height;
      bars[kind].push(`M${(i * W).toFixed(1)} ${y.toFixed(1)}h${(W - 1).toFixed(1)}v${height.toFixed(1)}h${(1 - W).toFixed(1)}z`);
    };
    up("good", n);
    up("mute", other[i]);
    up("bad", bad[i], 3);
  });
  const [all, wrong] = [good, bad].map((list) => list.reduce((sum, n) => sum + n, 0));
  const total = all + wrong + other.reduce((sum, n) => sum + n, 0);
  const words = `${plural(total, "run")}, ${count(wrong)} failed`;
  return h(
    "figure",
    { class: "activity" },
    h(
      "svg",
      { viewBox: "0 0 370 34", preserveAspectRatio: "none", role: "img", "aria-label": `the last 24 hours: ${words}` },
      Object.entries(bars).map(([kind, list]) => h("path", { class: kind, d: list.join("") })),
    ),
    h("div", {}, h("span", {}, "24 h ago"), link("/timeline", { class: "link" }, words), h("span", {}, "now")),
  );
}

const incidents = ({ incidents: list, more }) =>
  list.length > 0 &&
  h(
    "div",
    { class: `wrong ${list.some((each) => !each.dim) ? "" : "is-calm"}` },
    list.map(row),
    more && link("/incidents", { class: "case" }, "", h("span", { class: "link" }, more)),
  );
