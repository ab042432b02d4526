// The way in: the key goes to this server, which keeps it in a cookie that no script reads.

import { fill, h, part } from "./base.js";

export default part(({ data, root, state }) => {
  if (state.form) return;
  const said = h("p", { class: "facts", role: "alert" }, data.message ?? "");
  const key = h("input", { type: "password", id: "key", autocomplete: "current-password", "aria-label": "Key", placeholder: "Key", required: true });
  const button = h("button", {}, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const answer = await fetch("/login", { method: "POST", body: key.value.trim() }).catch(() => null);
    if (answer?.ok) return location.reload();
    button.disabled = false;
    said.textContent = answer ? (await answer.json()).message : "The dashboard does not answer.";
    key.select();
  };
  state.form = h("form", { class: "bar", onsubmit: submit }, key, button);
  fill(
    root,
    h("h1", {}, "This collector asks for a key"),
    h("p", { class: "facts" }, h("span", {}, "Who has an admin key makes one: rota key create --scope read --name you")),
    state.form,
    said,
  );
  key.focus();
});
