"""One run: what went wrong first, then its figures and its tasks."""

from __future__ import annotations

import streamlit as st

from rota_dashboard import shape
from rota_dashboard.client import Item
from rota_dashboard.views import REFRESH_SECONDS, calmly, collector


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Draws the run that ``?id=`` names, again every few seconds."""
    run_id = st.query_params.get("id", "")
    with calmly():
        run = collector().run(run_id) if run_id else None
        if run is None:
            st.header("No such run")
            st.text(f"The collector knows no run {run_id!r}. Choose one on the overview.")
            return
        _draw(run)


def _draw(run: Item) -> None:
    st.header(shape.state(run))
    st.text(f"{run['workflow']}\n{run['id']}")
    error = shape.error_text(run)
    if error:
        st.code(error, language=None, wrap_lines=True)
    _figures(run)
    st.subheader("Tasks")
    if run["tasks"]:
        st.dataframe(shape.task_rows(run["tasks"]), hide_index=True)
    else:
        st.text("This run reported none.")


def _figures(run: Item) -> None:
    figures = {
        "Started (UTC)": shape.at(run["started_at"]),
        "Ended (UTC)": shape.at(run["ended_at"]),
        "Duration": shape.duration(run["duration_seconds"]),
        "Exit status": shape.exit_status(run),
        "Attempt": str(run["attempt"]),
        "Host": run["host"] or "–",
        "Seen by": run["source"],
    }
    st.dataframe([figures], hide_index=True)
