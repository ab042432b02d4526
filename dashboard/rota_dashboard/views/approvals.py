"""Approvals: the runs that wait for a person's word, and what people said."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector
from rota_dashboard.shape import approvals as shape
from rota_dashboard.views import REFRESH_SECONDS, actions, calmly, known, me, zone

_ROWS, _EXPLAINED = 100, 20  # approvals, and workflows whose policy is asked why


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the list, again every few seconds."""
    chosen, cursor = st.query_params.get("show", ""), st.query_params.get("from", "")
    chosen = chosen if chosen in shape.FILTERS else "waiting"

    def ask(collector: Collector) -> shape.Known:
        state = "asked" if chosen == "waiting" else None
        found = collector.approvals(state=state, cursor=cursor or None, limit=_ROWS)
        names = sorted({each["workflow"] for each in found["items"] if each["state"] == "asked"})[:_EXPLAINED]
        policies = {name: collector.workflow(name, "/policy/versions")["items"] for name in names}
        return shape.Known(found, policies, datetime.now(UTC))

    with calmly():
        found = known(ask, "approvals", chosen, cursor)
        scope = "" if found.away else me()["scope"]
        drawn = shape.page(found.answer, chosen, cursor, scope, zone(), found.away)
        parts.draw("approvals", drawn, on_answer_change=actions.answering("approvals"))
        actions.of_approvals(found.answer.page["items"])
