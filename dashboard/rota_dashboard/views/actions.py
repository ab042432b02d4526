"""What people do about what they see. Each asks once, says what it will do, and is offered only to whoever may do it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from urllib.parse import quote

import streamlit as st

from rota_dashboard import config, login, parts
from rota_dashboard.client import CollectorAway, CollectorRefused, Item
from rota_dashboard.views import collector, me, memory

_HOURS = {"1 hour": 1, "4 hours": 4, "1 day": 24, "1 week": 168}
_FOR_GOOD = "until it is resumed"
_OUTCOMES = ("succeeded", "failed", "cancelled", "skipped", "ended")


def may_operate() -> bool:
    """Whether whoever looks may act on what runs."""
    return me()["scope"] in ("operate", "admin")


def may_administer() -> bool:
    """Whether whoever looks may change the rules."""
    return bool(me()["scope"] == "admin")


def who() -> None:
    """Who looks, and the way out, when somebody came in with a key of their own."""
    if config.token() or not st.context.cookies.get(login.COOKIE):
        return
    with contextlib.suppress(CollectorAway, CollectorRefused):
        found = me()
        if not found["is_open"]:
            parts.draw("who", {"name": found["name"], "scope": found["scope"]})


def _do(path: str, **said: object) -> None:
    """Do it, and show the page as it is then; or say why it was refused."""
    try:
        collector().act(path, by=me()["name"] or "dashboard", **said)
    except (CollectorAway, CollectorRefused) as error:
        st.text(f"That was not done. {error}")
        return
    memory().forget()
    st.rerun()


def _row(key: str, *buttons: tuple[str, Callable[[], None]]) -> None:
    """Buttons side by side."""
    with st.container(horizontal=True, key=f"actions_{key}"):
        for text, press in buttons:
            if st.button(text, key=f"{key}_{text}"):
                press()


def _ask(dialog: Callable[..., None], *about: object) -> None:
    """Have a dialog opened by the page, and not by the fragment that has the button.

    Streamlit runs a fragment that is due together with one inside it as the outer alone: a press in a dialog that a fragment
    opened is lost when the next look of that fragment falls together with it (streamlit/streamlit#17011).
    """
    st.session_state["dialog"] = (dialog, about)
    st.rerun()


def ask() -> None:
    """Opens the dialog of the button that was pressed, if one was. For the page, outside of every fragment."""
    dialog, about = st.session_state.pop("dialog", (None, ()))
    if dialog is not None:
        dialog(*about)


# -- a workflow ----------------------------------------------------------------------------------------------------------


def of_workflow(workflow: Item) -> None:
    """Pause, or resume."""
    if not may_operate():
        return
    if workflow["paused"]:
        _row("workflow", ("Resume", lambda: _do(_workflow(workflow["name"], "resume"))))
    else:
        _row("workflow", ("Pause…", lambda: _ask(_pause, workflow["name"])))


@st.dialog("Pause")
def _pause(name: str) -> None:
    st.text(f"Nothing will be expected of {name}, and nobody told of it: its slots are skipped. It may run all the same.")
    how_long = st.selectbox("For how long", [*_HOURS, _FOR_GOOD], index=1)
    why = st.text_input("Why", placeholder="for the record")
    if st.button("Pause", type="primary"):
        hours = _HOURS.get(how_long)
        _do(_workflow(name, "pause"), seconds=hours and hours * 3600, reason=why)


def _workflow(name: str, action: str) -> str:
    return f"/workflows/{quote(name, safe='')}/{action}"


# -- an incident ---------------------------------------------------------------------------------------------------------


def of_incident(incident: Item) -> None:
    """Acknowledge, snooze, close."""
    if incident["state"] == "closed" or not may_operate():
        return
    path = f"/incidents/{quote(incident['id'], safe='')}"
    first = [] if incident["state"] == "acknowledged" else [("Acknowledge", lambda: _do(f"{path}/ack"))]
    _row("incident", *first, ("Snooze…", lambda: _ask(_snooze, path)), ("Close…", lambda: _ask(_close, path)))


@st.dialog("Snooze")
def _snooze(path: str) -> None:
    st.text("Nothing is said of it until then. If it is still open by then, people are reminded.")
    how_long = st.selectbox("For how long", list(_HOURS))
    if st.button("Snooze", type="primary"):
        _do(f"{path}/snooze", seconds=_HOURS[how_long] * 3600)


@st.dialog("Close")
def _close(path: str) -> None:
    st.text(
        "It is settled, whatever the facts say. What went wrong until now does not open it again; what goes wrong later does."
    )
    if st.button("Close it", type="primary"):
        _do(f"{path}/close")


# -- an approval ---------------------------------------------------------------------------------------------------------


def answering(part: str) -> Callable[[], None]:
    """Notes which approval is to be answered, as the part tells it."""
    return lambda: st.session_state.__setitem__("answering", st.session_state[part]["answer"])


def of_approvals(waiting: list[Item]) -> None:
    """Approve or refuse the one whose button was pressed."""
    said = st.session_state.pop("answering", None)
    chosen = next((each for each in waiting if said and each["id"] == said["id"] and each["state"] == "asked"), None)
    if chosen is not None:
        _ask(st.dialog("Refuse" if said["answer"] == "refuse" else "Approve")(_answer), chosen, said["answer"])


def _answer(approval: Item, word: str) -> None:
    what = f"{approval['task']} of {approval['workflow']}" if approval["task"] else f"The run of {approval['workflow']}"
    st.text(f"{what} {'goes on at once.' if word == 'approve' else 'does not go on.'} What you say is kept with your name.")
    comment = st.text_input("Comment", placeholder="for the record", max_chars=1000)
    if st.button("Approve it" if word == "approve" else "Refuse it", type="primary"):
        _do(f"/approvals/{quote(approval['id'], safe='')}", answer=word, comment=comment or None)


# -- a run ---------------------------------------------------------------------------------------------------------------


def of_run(run: Item) -> None:
    """Have it ended, or say how it ended."""
    if may_operate():
        open_ones = [] if run["ended_at"] else [("Cancel…", lambda: _ask(_cancel, run))]
        _row("run", *open_ones, ("Set outcome…", lambda: _ask(_outcome, run)))


@st.dialog("Cancel")
def _cancel(run: Item) -> None:
    st.text("Its host is told to end it, as by SIGTERM. How it ended is its own to say; it is cancelling until then.")
    why = st.text_input("Why", placeholder="for the record", max_chars=1000)
    if st.button("Cancel the run", type="primary"):
        _do(f"/runs/{quote(run['id'], safe='')}/cancel", reason=why)


@st.dialog("Set outcome")
def _outcome(run: Item) -> None:
    st.text(f"It is {run['state'].replace('_', ' ')} now. What you say outranks what programs said, and is kept with your name.")
    state = st.selectbox("It", _OUTCOMES, index=0 if run["state"] != "succeeded" else 1)
    why = st.text_input("Why", placeholder="for the record")
    if st.button("Set outcome", type="primary"):
        _do(f"/runs/{quote(run['id'], safe='')}/outcome", state=state, reason=why)
