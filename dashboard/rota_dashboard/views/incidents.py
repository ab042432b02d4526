"""Incidents: the list, and one of them with what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector, Item, NotThere
from rota_dashboard.shape import incident as shape
from rota_dashboard.shape.workflow import slot_zone
from rota_dashboard.views import REFRESH_SECONDS, actions, calmly, known, zone

_ROWS = 200


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the list, again every few seconds."""
    chosen, cursor = st.query_params.get("show", ""), st.query_params.get("from", "")
    chosen = chosen if chosen in shape.FILTERS else "open"

    def ask(collector: Collector) -> Item:
        return collector.incident_page(state=chosen, cursor=cursor or None, limit=_ROWS)

    with calmly():
        found = known(ask, "incidents", chosen, cursor)
        parts.draw("incidents", shape.listing(found.answer, chosen, cursor, zone(), datetime.now(UTC), found.away))


def _ask(collector: Collector, incident_id: str) -> shape.Known:
    incident = collector.incident(incident_id)
    return shape.Known(
        incident,
        collector.incident(incident["id"], "/history")["items"],
        collector.alerts(incident=incident["id"], limit=100),
        _schedule_zone(collector, incident["workflow"]),
        datetime.now(UTC),
    )


def _schedule_zone(collector: Collector, workflow: str | None) -> tzinfo | None:
    try:
        return slot_zone(collector.workflow(workflow, "/policy")["policy"]) if workflow else None
    except NotThere:
        return None


@st.fragment(run_every=REFRESH_SECONDS)
def show_one() -> None:
    """Draws the incident that ``?id=`` names, again every few seconds."""
    incident_id = st.query_params.get("id", "")
    with calmly():
        found = known(lambda collector: _ask(collector, incident_id), "incident", incident_id)
        parts.draw("incident", shape.detail(found.answer, zone(), found.away))
        if not found.away:
            actions.of_incident(found.answer.incident)
        parts.draw("incident_story", shape.detail(found.answer, zone(), found.away))
