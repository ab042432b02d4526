// Who looks, and the way out.

import { fill, h, part } from "./base.js";

export default part(({ data, root }) =>
  fill(root, h("p", { class: "who" }, `Logged in with the key “${data.name}”, which may ${data.scope}. `, h("button", { class: "link", onclick: leave }, "Log out"))),
);

async function leave() {
  await fetch("/logout", { method: "POST" });
  location.assign("/");
}
