"""The front page: every workflow in a row, and the newest runs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from rota_dashboard import shape
from rota_dashboard.client import Item
from rota_dashboard.views import REFRESH_SECONDS, calmly, collector

TWO_LINES = "import rota\nrota.watch()"
WIDE = {"Error": st.column_config.TextColumn(width="large")}


@st.fragment(run_every=REFRESH_SECONDS)
def show(open_run: Callable[[str], None]) -> None:
    """Draws the page, again every few seconds; ``open_run`` is called with the id of the run that was chosen."""
    with calmly():
        workflows = collector().workflows()
        if not workflows:
            _draw_empty()
            return
        st.header(shape.headline(workflows))
        st.caption(shape.summary(workflows))
        chosen = _table("workflows", [shape.workflow_row(item) for item in workflows])
        name = None if chosen is None else workflows[chosen]["name"]
        _draw_runs(collector().runs(name), name, open_run)


def _draw_runs(runs: list[Item], workflow: str | None, open_run: Callable[[str], None]) -> None:
    st.subheader("Runs")
    st.text(f"of {workflow}, newest first" if workflow else "of every workflow, newest first")
    chosen = _table("runs", [shape.run_row(item) for item in runs])
    if chosen is not None:
        open_run(runs[chosen]["id"])


def _table(key: str, rows: list[dict[str, str]]) -> int | None:
    """A table; the number of the row that was chosen."""
    event = st.dataframe(
        rows, key=key, hide_index=True, height="content", column_config=WIDE, on_select="rerun", selection_mode="single-row"
    )
    selected = event["selection"]["rows"]
    return selected[0] if selected and selected[0] < len(rows) else None


def _draw_empty() -> None:
    st.header("No runs yet")
    st.text("Two lines in a script, and its runs show up here:")
    st.code(TWO_LINES, language="python")
