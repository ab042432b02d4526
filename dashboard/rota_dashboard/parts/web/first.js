// Before the first run: what makes one.

import { fill, h, part } from "./base.js";

export default part(({ data, root, state }) => {
  if (state.drawn) return; // nothing in it changes
  state.drawn = true;
  const address = data.endpoint ? `export ROTA_ENDPOINT=${data.endpoint}\n` : "";
  fill(
    root,
    h("h1", {}, "No runs yet"),
    h("p", { class: "facts" }, h("span", {}, "This page shows the first one as soon as it starts.")),
    h("h2", {}, "Two lines in a script"),
    code("import rota\nrota.watch()"),
    address && h("h2", {}, "and, where it runs, the address of this collector"),
    address && code(address.trim()),
    h("h2", {}, "Or a prefix, before any command"),
    code(`${address}rota exec -- ./backup.sh`),
    h("h2", {}, "Or one line of curl at the end of a job"),
    code(`rota key create --scope ping --workflow backup     # prints the key, once\ncurl -fsS ${data.pings}/KEY`),
  );
});

const code = (text) => h("pre", { class: "stack", tabindex: 0 }, text);
