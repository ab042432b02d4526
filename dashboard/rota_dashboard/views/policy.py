"""The policy of a workflow: a form and a text that are one document, tried on the past and compared before it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Changed, Collector, CollectorAway, CollectorRefused
from rota_dashboard.shape import policy as shape
from rota_dashboard.shape.policy import Draft, Examined
from rota_dashboard.views import actions, calmly, collector, known, me, memory, zone

_EDITS = ("edit", "save", "discard", "keep")  # what the editor tells


def _ask(collector: Collector, name: str) -> shape.Known:
    policy = collector.workflow(name, "/policy")
    return shape.Known(policy, collector.workflow(name, "/policy/versions")["items"], datetime.now(UTC))


def show() -> None:
    """Draws the policy of the workflow that ``?name=`` names; ``?to=`` a level begins with the smallest one that leads there."""
    name, to = st.query_params.get("name", ""), st.query_params.get("to", "")
    with calmly():
        found = known(lambda collector: _ask(collector, name), "policy", name)
        parts.draw("policy", shape.head(found.answer, zone(), found.away))
        st.fragment(_show)(name, to)


def _show(name: str, to: str) -> None:
    with calmly():
        found: shape.Known = known(lambda collector: _ask(collector, name), "policy", name).answer
        if st.session_state.get("told", ("",))[0] == "discard":
            _discard(found)
        draft = _taken(_draft(found, to), found)
        examined = _examined(draft)
        if examined.item and isinstance(examined.item["document"], dict):
            draft = draft._replace(document=examined.item["document"])
        st.session_state["draft"] = draft
        may, saved = actions.may_administer(), st.session_state.pop("saved", None)
        told = {f"on_{each}_change": _noting(each) for each in _EDITS}
        parts.draw("editor", shape.editor(found, draft, examined, may=may, saved=saved), **told)
        parts.draw("versions", shape.versions(found, zone(), may=may), on_restore_change=_noting("restore"))
        if st.session_state.pop("asked_to_save", False):
            _save(found, draft, examined)


def _noting(what: str) -> Any:
    """Keeps what a part told until the page is drawn; then it is done."""
    part = "versions" if what == "restore" else "editor"
    return lambda: st.session_state.__setitem__("told", (what, st.session_state[part][what]))


def _draft(found: shape.Known, to: str) -> Draft:
    """What was begun before, if it is of this workflow and on the way to the same level; else a new one."""
    before, fresh = st.session_state.get("draft"), shape.begun(found.policy)
    if not isinstance(before, Draft):
        before = fresh
    if before.workflow == fresh.workflow and st.session_state.get("draft_to", to) == to and before is not fresh:
        return fresh._replace(serial=before.serial) if shape.is_untouched(before) else before
    st.session_state["draft_to"] = to
    fresh = fresh._replace(serial=before.serial + 1)
    return _promoted(fresh, to) if to else fresh


def _promoted(draft: Draft, to: str) -> Draft:
    """With the smallest policy that leads to a level in it, and what speaks for it."""
    advice = known(lambda collector: collector.advice_for(draft.workflow), "advice", draft.workflow).answer
    document = advice["promote"].get(to)
    if document is None:
        return draft
    reasons = [each["reason"] for each in advice["items"] if each["level"] == to]
    return shape.with_document(draft, document, f"promote to {to}", "; ".join(reasons))


def _discard(found: shape.Known) -> None:
    """Begin anew with what is stored, whatever level the address led to."""
    _, said = st.session_state.pop("told")
    st.session_state["draft"], st.session_state["draft_to"] = shape.begun(found.policy)._replace(serial=said["serial"]), ""
    st.query_params.pop("to", None)
    st.rerun()


def _taken(draft: Draft, found: shape.Known) -> Draft:
    """The draft after what was told by a part."""
    what, said = st.session_state.pop("told", (None, None))
    if what == "keep":
        now = found.policy
        return draft._replace(version=now["version"], base=now["stored"] or {}, why=said["why"], serial=said["serial"])
    if what == "restore":
        chosen = next((each["policy"] for each in found.versions if each["version"] == said), draft.document)
        return shape.with_document(draft, chosen, f"back to version {said}")
    if what not in ("edit", "save"):
        return draft
    draft = draft._replace(why=said["why"])
    st.session_state["asked_to_save"] = what == "save"
    if "path" in said:
        return shape.with_field(draft, said["path"], said["value"], said["serial"])
    return draft._replace(text=said["text"], serial=said["serial"]) if "text" in said else draft


def _examined(draft: Draft) -> Examined:
    """What the collector makes of it; of the same text what it said before."""
    last, found = st.session_state.get("examined", (None, None))
    if last != (draft.workflow, draft.version, draft.text):
        found = _asked(draft)
        st.session_state["examined"] = ((draft.workflow, draft.version, draft.text), found)
    return found if isinstance(found, Examined) else Examined(None)


def _asked(draft: Draft) -> Examined:
    try:
        item = collector().examined(draft.text if draft.text.strip() else "{}", draft.workflow)
        is_new = not item["problems"] and item["document"] != draft.base
        return Examined(item, None, collector().tested(item["document"], draft.workflow) if is_new else None)
    except (CollectorAway, CollectorRefused) as error:
        return Examined(None, str(error))


def _save(found: shape.Known, draft: Draft, examined: Examined) -> None:
    """Store it; ask once when that raises or lowers the level."""
    if examined.item is None or examined.item["problems"]:
        return
    asked = shape.question(draft, found.policy["level"], examined.item["level"])
    if asked is None:
        _store(draft)
        return
    title, text = asked

    def confirm() -> None:
        st.text(text)
        if st.button(title.partition(" to ")[0], type="primary"):
            _store(draft)

    st.dialog(title)(confirm)()


def _store(draft: Draft) -> None:
    """Store it, if it is still the version that was edited; say so if not."""
    try:
        stored = collector().store(
            draft.workflow, draft.text.strip() or "{}", author=me()["name"] or "dashboard", reason=draft.why or None,
            if_version=draft.version,
        )  # fmt: skip
    except Changed:
        memory().forget()  # the editor says who was faster
        st.rerun()
    except (CollectorAway, CollectorRefused) as error:
        st.text(f"That was not done. {error}")
        return
    memory().forget()
    st.session_state["draft_to"] = None  # the next draft is another one
    st.session_state["saved"] = f"Stored as version {stored['version']}."
    st.query_params.pop("to", None)
    st.rerun()
