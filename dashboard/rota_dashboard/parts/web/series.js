// What was measured, as small lines.

import { fill, h, part } from "./base.js";

const W = 300, H = 44; // prettier-ignore

export default part(({ data, root }) =>
  fill(root, h("h2", {}, "Measured"), h("div", { class: "series" }, data.series.map((each) => h("figure", { class: "panel" }, line(each), h("figcaption", {}, h("b", {}, each.name), h("span", { class: "quiet" }, ` last ${each.last}, most ${each.most}`)))))),
);

function line({ name, points }) {
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  const x = (at) => ((at - from) / (to - from || 1)) * W;
  const y = (value) => H - 2 - ((value - low) / (high - low || 1)) * (H - 6);
  const path = points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  return h("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img", "aria-label": name }, h("path", { class: "area", d: `M0 ${H}L${path}L${W} ${H}z` }), h("path", { class: "stroke live", d: `M${path}` }));
}
