"""All runs of a day, side by side: what ran at 02:13."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector
from rota_dashboard.shape import timeline as shape
from rota_dashboard.views import calmly, known, zone

_REFRESH_SECONDS = 15


def show() -> None:
    """Draws the day that ``?day=`` names; again now and then while it is today."""
    now = datetime.now(UTC)
    is_today = shape.day_of(st.query_params.get("day", ""), zone(), now).end > now
    st.fragment(_show, run_every=_REFRESH_SECONDS if is_today else None)()


def _show() -> None:
    now, by = datetime.now(UTC), st.query_params.get("by", "")
    by = by if by in shape.LANES else "host"
    day = shape.day_of(st.query_params.get("day", ""), zone(), now)

    def ask(collector: Collector) -> pa.Table:
        return collector.runs_during(day.start.isoformat(), day.end.isoformat())

    with calmly():
        found = known(ask, "timeline", day.start.isoformat())
        parts.draw("timeline_head", shape.head(found.answer, day, by, zone(), now, found.away))
        parts.draw("timeline", shape.packed(found.answer, day, by, now))
