"""One run: what went wrong first, then what it did, what differs, what it said."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector, CollectorRefused, Item
from rota_dashboard.shape import approvals, decisions, failure, told, waterfall
from rota_dashboard.shape import run as shape
from rota_dashboard.shape import runs as lists
from rota_dashboard.shape.differences import differences
from rota_dashboard.views import REFRESH_SECONDS, actions, calmly, collector, known, logs, me, zone

_BEFORE, _FAILURES = 31, 14


def _ask(collector: Collector, run_id: str) -> shape.Known:
    run = collector.run(run_id, tasks=False)
    name, started = run["workflow"], run["started_at"] or run["ended_at"]
    before = collector.runs(workflow=name, until=started, limit=_BEFORE)["items"]
    failures = collector.runs(workflow=name, until=started, state=list(lists.WENT_WRONG), limit=_FAILURES)["items"]
    good = collector.runs(workflow=name, until=started, state="succeeded", limit=1)["items"]
    slots = collector.slots(workflow=name, since=run["slot_at"], limit=1000) if run["slot_at"] else []
    return shape.Known(
        run,
        next((slot for slot in slots if slot["run_id"] == run["id"]), None),
        collector.run(run["id"], "/attributes")["attributes"],
        collector.run(run["id"], "/work")["items"],
        collector.run(run["id"], "/history")["items"],
        before,
        failures,
        _told_of(collector, good[0]) if good else None,
        datetime.now(UTC),
    )


def _told_of(collector: Collector, run: Item) -> Item:
    return {
        "run": run,
        "attributes": collector.run(run["id"], "/attributes")["attributes"],
        "work": collector.run(run["id"], "/work")["items"],
    }


def show() -> None:
    """Draws the run that ``?id=`` names; again every few seconds while it is under way."""
    run_id = st.query_params.get("id", "")
    with calmly():
        found = known(lambda collector: _ask(collector, run_id), "run", run_id)
        every = REFRESH_SECONDS if found.answer.is_live or found.away else None
        st.fragment(_show, run_every=every)(found.answer.run["id"])


def _show(run_id: str) -> None:
    with calmly():
        found = known(lambda collector: _ask(collector, run_id), "run", run_id)
        spans = known(lambda collector: collector.spans(run_id), "spans", run_id)
        _draw(found.answer, spans.answer, found.away)


def _draw(found: shape.Known, spans: pa.Table, away: str | None) -> None:
    reader = zone()
    parts.draw("run", shape.head(found, reader, away) | {"error": failure.error(found, waterfall.breakages(spans), reader)})
    if not away:
        actions.of_run(found.run)
    total = spans.column("total")[0].as_py() if spans.num_rows else 0
    _draw_approvals(found, away)
    parts.draw(
        "figure_row",
        {
            "figures": shape.figures(found, total),
            "differences": differences(found) if found.run["started_at"] else [],
            "away": away,
        },
    )
    if spans.num_rows:
        now = found.at.timestamp() * 1000 if found.run["ended_at"] is None else None
        parts.draw("waterfall", waterfall.packed(spans, found.run["id"], now), on_span_change=lambda: None)
        _draw_span(found.run["id"])
    _draw_decisions(found)
    _draw_measurements(found.run["id"])
    logs.show(found.run["id"], found.is_live)
    parts.draw("story", {
        "history": told.history(found.history, reader),
        "attributes": told.attributes(found.attributes),
        "id": found.run["id"],
        "trace": found.run["trace_id"],
    })  # fmt: skip


def _draw_approvals(found: shape.Known, away: str | None) -> None:
    """The word that it waits for, above everything that it did."""
    if not found.is_live:
        return
    run_id = found.run["id"]
    waiting = known(lambda collector: collector.approvals(run=run_id, state="asked")["items"], "asked", run_id).answer
    if waiting:
        scope = "" if away else me()["scope"]
        rows = approvals.rows(waiting, scope, zone(), found.at)
        parts.draw("approval", {"rows": rows, "now": found.at.timestamp() * 1000}, on_answer_change=actions.answering("approval"))
    actions.of_approvals(waiting)


def _draw_decisions(found: shape.Known) -> None:
    """Its attempts, and what gates said, if there is anything to say of either."""
    run_id = found.run["id"]
    told = known(lambda collector: collector.run(run_id, "/decisions")["items"], "decisions", run_id).answer
    attempts = decisions.attempts(found.run, zone())
    if attempts or told:
        parts.draw("decisions", {"attempts": attempts, **decisions.decisions(told, zone(), is_live=found.is_live)})


def _draw_span(run_id: str) -> None:
    """The span that was chosen in the waterfall."""
    chosen = (st.session_state.get("waterfall") or {}).get("span") or st.session_state.get("span")
    if not chosen:
        return
    st.session_state["span"] = chosen
    try:
        found = collector().run(run_id, f"/spans/{chosen}")
    except CollectorRefused:  # of another run, or a task that has only begun
        return
    parts.draw("span", told.span(found, zone()))


def _draw_measurements(run_id: str) -> None:
    found = known(lambda collector: collector.run(run_id, "/metrics")["items"], "metrics", run_id).answer
    if drawn := told.series(found):
        parts.draw("series", {"series": drawn})
