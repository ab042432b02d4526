"""One workflow: how it is doing, how it did, and what is expected of it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector, Item
from rota_dashboard.shape import calendar, durations, line, links, schedules
from rota_dashboard.shape import workflow as shape
from rota_dashboard.views import REFRESH_SECONDS, actions, calmly, known, zone

_ROWS, _SLOTS = 25, 200
_HOSTS = 8  # whose instances are asked after


def _ask(collector: Collector, name: str) -> shape.Known:
    workflow, policy = collector.workflow(name), collector.workflow(name, "/policy")
    days_of = str(shape.slot_zone(policy["policy"]) or zone())
    return shape.Known(
        workflow,
        policy,
        collector.workflow(name, "/policy/versions")["items"],
        collector.workflow(name, "/days", tz=days_of, days=calendar.SHOWN_DAYS + 7)["items"],
        collector.workflow(name, "/signals"),
        collector.runs(workflow=name, limit=shape.BARS)["items"],
        collector.slots(workflow=name, limit=_SLOTS),
        collector.incidents(workflow=name, state="open"),
        datetime.now(UTC),
    )


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the workflow that ``?name=`` names, again every few seconds."""
    name, chosen, cursor = (st.query_params.get(key, "") for key in ("name", "show", "from"))
    chosen = chosen if chosen in shape.FILTERS else ""

    def ask_page(collector: Collector) -> Item:
        return collector.runs(workflow=name, state=shape.STATES[chosen], cursor=cursor or None, limit=_ROWS)

    with calmly():
        found = known(lambda collector: _ask(collector, name), "workflow", name)
        listed = known(ask_page, "runs", name, chosen, cursor)
        _draw(found.answer, listed.answer, chosen, cursor, found.away)


def _draw_line(found: shape.Known) -> None:
    """Who holds what it needs to run, and who waits, where its policy asks."""
    name, policy = found.workflow["name"], found.policy["policy"]
    if not line.asks(policy):
        return
    hosts = sorted({run["host"] for run in found.latest[:30] if run["host"]})
    scopes = line.scopes(name, policy, hosts[:_HOSTS])
    held = known(lambda collector: [each for scope in scopes for each in collector.leases(scope)], "held", name).answer
    waiting = known(lambda collector: collector.waiting(name), "waiting", name).answer
    parts.draw("line", line.line(name, policy, held, waiting, found.latest) | {"now": found.at.timestamp() * 1000})


def _draw(found: shape.Known, listed: Item, chosen: str, cursor: str, away: str | None) -> None:
    reader = zone()
    days_in = shape.slot_zone(found.policy["policy"]) or reader
    parts.draw("workflow", shape.head(found, reader, away))
    if not away:
        actions.of_workflow(found.workflow)
    if not away:
        _draw_line(found)
    parts.draw("history", {
        "figures": shape.figures(found, days_in),
        "calendar": calendar.calendar(found.days, found.at.astimezone(days_in).date()) | {"zone": str(days_in)},
        "durations": durations.durations(found.latest, reader, found.at),
        "history": shape.history(found, listed, chosen, cursor or None, reader),
        "policy": {"keys": schedules.keys(found.policy, found.versions),
                   "versions": schedules.versions(found.versions, reader, found.at),
                   "notes": [*found.policy["problems"], *found.policy["warnings"]], "href": links.policy(found.workflow["name"])},
        "away": away,
    })  # fmt: skip
