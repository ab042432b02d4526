"""The front page: what needs someone, and every workflow in a row."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector
from rota_dashboard.shape import overview as shape
from rota_dashboard.views import REFRESH_SECONDS, calmly, first_run, known, zone


def _ask(collector: Collector) -> shape.Known:
    return shape.Known(
        collector.workflows(), collector.incidents(state="open"), collector.activity(), datetime.now(UTC),
        collector.approvals(state="asked", limit=100),
    )  # fmt: skip


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the page, again every few seconds."""
    with calmly():
        found = known(_ask, "overview")
        if not found.answer.workflows.num_rows:
            first_run.draw()
            return
        parts.draw("head", shape.head(found.answer, zone(), found.away))
        parts.draw("list", shape.rows(found.answer, found.away))
