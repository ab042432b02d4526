"""The pages and the ways between them. Run by ``python -m rota_dashboard``."""

from __future__ import annotations

import streamlit as st

from rota_dashboard.views import overview, run

STYLE = "<style>.stMainBlockContainer { max-width: 1440px; padding: 1.5rem 1.5rem 3rem }</style>"


def show_overview() -> None:
    """The front page; choosing a run opens it."""
    overview.show(lambda run_id: st.switch_page(run_page, query_params={"id": run_id}))


def show_run() -> None:
    """One run, with the way back."""
    st.page_link(overview_page, label="← Overview")
    run.show()


st.set_page_config(page_title="rota", layout="wide")
st.html(STYLE)
overview_page = st.Page(show_overview, title="Overview", url_path="overview", default=True)
run_page = st.Page(show_run, title="Run", url_path="run", visibility="hidden")
st.navigation([overview_page, run_page], position="top").run()
