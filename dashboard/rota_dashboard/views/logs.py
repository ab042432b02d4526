"""The log records of a run, with a search that stays in the address."""

from __future__ import annotations

import streamlit as st

from rota_dashboard import parts
from rota_dashboard.client import Collector, Item
from rota_dashboard.shape import logs as shape
from rota_dashboard.views import REFRESH_SECONDS, calmly, known, zone

_LINES = 500
_SEVERITIES = {"all": 0, "warnings": 13, "errors": 17}


def show(run_id: str, is_live: bool) -> None:
    """Draws them; again every few seconds while the run is under way."""
    st.fragment(_show, run_every=REFRESH_SECONDS if is_live else None)(run_id)


def _show(run_id: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="logs_bar"):
        st.markdown("**Logs**", width="content")
        text = st.text_input(
            "Search logs", key="log", type="search", live="300ms", bind="query-params", placeholder="Search logs",
            label_visibility="collapsed", width=280,
        )  # fmt: skip
        least = st.segmented_control(
            "Which",
            list(_SEVERITIES),
            default="all",
            key="severity",
            bind="query-params",
            label_visibility="collapsed",
            width="content",
        )
    severity = _SEVERITIES.get(least or "all", 0)

    def ask(collector: Collector) -> list[Item]:
        found = collector.run(run_id, "/logs", q=text or None, severity=severity or None, plain=True, limit=_LINES + 1)
        return list(found["items"])

    with calmly():
        found = known(ask, "logs", run_id, text, str(severity))
        parts.draw("logs", shape.lines(found.answer, zone(), _LINES, is_narrowed=bool(text or severity)))
