"""The pages and the ways between them. Run by Streamlit, once for each visit of a page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rota_dashboard.views import actions, approvals, incidents, overview, policy, run, spectrum, timeline, workflow

ICON = Path(__file__).with_name("parts") / "web" / "icon.svg"

st.set_page_config(page_title="rota", page_icon=str(ICON), layout="wide")
pages = [
    st.Page(overview.show, title="Overview", url_path="overview", default=True),
    st.Page(timeline.show, title="Timeline", url_path="timeline"),
    st.Page(incidents.show, title="Incidents", url_path="incidents"),
    st.Page(incidents.show_one, title="Incident", url_path="incident"),
    st.Page(spectrum.show, title="Spectrum", url_path="spectrum"),
    st.Page(approvals.show, title="Approvals", url_path="approvals"),
    st.Page(policy.show, title="Policy", url_path="policy"),
    st.Page(workflow.show, title="Workflow", url_path="workflow"),
    st.Page(run.show, title="Run", url_path="run"),
]
st.navigation(pages, position="hidden").run()  # the page itself has the links: index.py
actions.who()
actions.ask()
