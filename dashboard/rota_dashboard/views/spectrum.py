"""The spectrum: where each workflow stands from observe to orchestrate, and the next step of each."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector
from rota_dashboard.shape import spectrum as shape
from rota_dashboard.views import calmly, first_run, known

_REFRESH_SECONDS = 15


def _ask(collector: Collector) -> shape.Known:
    return shape.Known(collector.workflows(), collector.advice(), datetime.now(UTC))


@st.fragment(run_every=_REFRESH_SECONDS)
def show() -> None:
    """Draws the page, again now and then."""
    with calmly():
        found = known(_ask, "spectrum")
        if not found.answer.workflows.num_rows:
            first_run.draw()
            return
        parts.draw("spectrum", shape.page(found.answer, found.away))
