"""Approvals: the runs that wait for a person's word, and what people said."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector, Item
from rota_dashboard.shape import approvals as shape
from rota_dashboard.views import REFRESH_SECONDS, actions, calmly, known, me, zone

_ROWS = 100


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the list, again every few seconds."""
    chosen, cursor = st.query_params.get("show", ""), st.query_params.get("from", "")
    chosen = chosen if chosen in shape.FILTERS else "waiting"

    def ask(collector: Collector) -> Item:
        state = "asked" if chosen == "waiting" else None
        found = collector.approvals(state=state, cursor=cursor or None, limit=_ROWS)
        items = [each for each in found["items"] if chosen == "waiting" or each["state"] != "asked"]
        return {**found, "items": items}

    with calmly():
        found = known(ask, "approvals", chosen, cursor)
        scope = "" if found.away else me()["scope"]
        drawn = shape.page(found.answer, chosen, cursor, scope, zone(), datetime.now(UTC), found.away)
        parts.draw("approvals", drawn, on_answer_change=actions.answering("approvals"))
        actions.of_approvals(found.answer["items"])
