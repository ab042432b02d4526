"""The pages. What users wrote is shown by elements that take plain text only: st.text, st.code, st.dataframe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from rota_dashboard import config
from rota_dashboard.client import Collector, CollectorAway, CollectorRefused

REFRESH_SECONDS = 5


@st.cache_resource
def collector() -> Collector:
    """The one connection pool of this process."""
    return Collector(config.endpoint(), config.token())


@contextmanager
def calmly() -> Iterator[None]:
    """Says so, without alarm, when the collector cannot be read."""
    try:
        yield
    except CollectorAway:
        st.subheader("The collector does not answer.")
        st.text(f"Nobody listens at {collector().base_url}. Trying again every {REFRESH_SECONDS} s.")
        st.text("Start it with: rota up. Runs are kept on their hosts until then; nothing is lost.")
    except CollectorRefused as error:
        st.subheader("The collector refused.")
        st.text(str(error))
