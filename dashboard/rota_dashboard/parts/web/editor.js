// A policy as a form and as a text: two ways into one document. The server reads what is written, and says what it makes of it;
// what somebody is typing in is left alone meanwhile.

import { fill, h, part } from "./base.js";
import { changes } from "./changes.js";

const PAUSE_MS = 450; // without a key pressed, until what was written is read
const ABOUT = {
  expect: "When it should run, and how long that may take.",
  retry: "What fails is tried again.",
  gate: "It asks before it begins.",
  orchestrate: "Functions ask before they run.",
  alert: "Who is told.",
};

export default part(({ data, root, state, tell }) => {
  state.tell = tell;
  if (state.name !== data.workflow) Object.assign(state, { name: data.workflow, serial: data.serial, form: null }); // another page
  state.form ?? build(root, state, data);
  if (data.serial > state.serial) Object.assign(state, { serial: data.serial }).why.value = data.why; // the server's own: a version that is brought back
  if (data.serial === state.serial) renew(root, state, data);
});

// -- made once ----------------------------------------------------------------------------------------------------------

function build(root, state, data) {
  state.inputs = new Map();
  state.form = h("div", { class: "form" }, Object.keys(ABOUT).map((level) => group(level, state, data)));
  state.text = h("textarea", {
    id: "yaml", spellcheck: false, autocomplete: "off", "aria-label": "The policy as YAML", title: "Tab indents. To leave with the keyboard: Escape, then Tab.", placeholder: "# nothing is asked of it yet",
    oninput: () => later(state, () => ({ text: state.text.value })), onkeydown: indent,
  }); // prettier-ignore
  state.note = h("p", { class: "quiet" });
  state.said = h("div", { role: "status", "aria-live": "polite" });
  state.why = h("input", { id: "why", type: "text", maxlength: 1000, placeholder: "Why, for the record", "aria-label": "Why", value: data.why });
  state.save = h("button", { class: "primary", onclick: () => save(state) }, "Save…");
  state.discard = h("button", { onclick: () => ((state.why.value = ""), tell(state, "discard", {})) }, "Discard changes");
  state.bar = h("div", { class: "bar save" }, state.why, state.save, state.discard);
  state.above = h("div");
  const yaml = h("div", { class: "yaml" }, h("label", { for: "yaml" }, "YAML"), state.text, state.note);
  fill(root, state.above, h("div", { class: "editor" }, state.form, yaml), state.said, state.bar);
}

function group(level, state, data) {
  const fields = data.fields.filter((field) => field.level === level).map((field) => input(field, state));
  return h("fieldset", { class: `level-${level}` }, h("legend", {}, h("b", {}, level === "alert" ? "alerts" : level), h("span", { class: "quiet" }, ABOUT[level])), fields);
}

function input(field, state) {
  const props = { id: `field-${field.path}`, title: field.help, "aria-label": `${field.label}: ${field.help}` };
  const edit = () => ({ path: field.path, value: made.value });
  const made = field.choices.length
    ? h("select", { ...props, onchange: () => tell(state, "edit", edit()) }, field.choices.map((each, i) => h("option", { value: each }, i === 0 && field.declared ? `as in code: ${field.declared}` : each)))
    : h("input", { ...props, type: "text", autocomplete: "off", spellcheck: false, oninput: () => later(state, edit) });
  state.inputs.set(field.path, made);
  return h("label", { title: field.help }, h("span", {}, field.label), made);
}

/** Tab indents in the text; Escape lets the next Tab leave it. */
function indent(event) {
  if (event.key === "Escape") return void (event.currentTarget.dataset.leave = "yes");
  if (event.key !== "Tab" || event.shiftKey || event.currentTarget.dataset.leave) return void delete event.currentTarget.dataset.leave;
  event.preventDefault();
  const { selectionStart: from, selectionEnd: to } = event.currentTarget;
  event.currentTarget.setRangeText("  ", from, to, "end");
  event.currentTarget.dispatchEvent(new Event("input"));
}

// -- what was written ---------------------------------------------------------------------------------------------------

/** Tell it when nothing more is typed for a moment; from now on what the server says of before is old. */
function later(state, edit) {
  clearTimeout(state.timer);
  state.serial += 1;
  waits(state);
  state.pending = edit;
  state.timer = setTimeout(() => flush(state), PAUSE_MS);
}

function flush(state) {
  clearTimeout(state.timer);
  const edit = state.pending;
  state.pending = null;
  if (edit) state.tell("edit", { ...edit(), why: state.why.value, serial: state.serial });
}

function tell(state, what, said) {
  flush(state);
  state.serial += 1;
  waits(state);
  state.tell(what, { ...said, why: state.why.value, serial: state.serial });
}

const save = (state) => (waits(state), state.tell("save", { why: state.why.value }));

/** Nothing can be saved until it is known what would be. */
function waits(state) {
  state.save.disabled = true;
  state.form.parentElement.classList.add("is-read");
}

// -- what the server makes of it ----------------------------------------------------------------------------------------

function renew(root, state, data) {
  const active = root.activeElement;
  state.form.parentElement.classList.remove("is-read");
  for (const field of data.fields) {
    const made = state.inputs.get(field.path);
    if (made !== active) made.value = field.value || (field.choices[0] ?? "");
    if (!field.choices.length) made.placeholder = field.usual;
    made.disabled = !data.may || !data.is_readable;
  }
  if (state.text !== active && state.text.value !== data.text) state.text.value = data.text;
  state.text.readOnly = !data.may;
  state.text.rows = Math.max(14, Math.min(40, state.text.value.split("\n").length + 1));
  state.note.textContent = data.has_comments ? "Comments are not stored, and the form takes them out." : data.declared.length ? `Code declares ${data.declared.join(", ")}; what stands here counts instead, key by key.` : "";
  const isChanged = data.difference.length > 0;
  state.save.disabled = !isChanged || data.problems.length > 0 || Boolean(data.conflict);
  state.save.textContent = data.then === null || data.then === data.now ? "Save" : "Save…"; // another level is asked about
  state.discard.hidden = !isChanged && !data.problems.length;
  state.bar.hidden = !data.may || (!isChanged && !data.problems.length);
  fill(state.above, above(state, data));
  fill(state.said, changes(data));
}

const above = (state, data) => [
  !data.may && h("p", { class: "away" }, "You may look at it. Changing it needs a key of the scope admin."),
  data.saved && h("p", { class: "away is-good", role: "status" }, `✓ ${data.saved}`),
  data.hint && h("p", { class: "away" }, h("b", {}, "From its history: "), data.hint),
  data.conflict &&
    h(
      "div",
      { class: "wrong is-warn", role: "alert" },
      h("div", { class: "cause" }, h("b", {}, data.conflict), h("p", {}, "Nothing of yours is lost: compare with what is stored now, then save over it; or discard your changes."),
        h("p", {}, h("button", { class: "small", onclick: () => tell(state, "keep", {}) }, "Compare with it"))),
    ), // prettier-ignore
];
