"""Dashboards, for tests that look at them in a browser."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.history import Story
from collectors import CollectorProcess
from servers import environment_of, serve


class Looked(NamedTuple):
    """A dashboard, the collector that it shows, and what happened there."""

    url: str
    collector: CollectorProcess
    story: Story


@contextlib.contextmanager
def dashboard(collector_http: str, folder: Path, **settings: str) -> Iterator[str]:
    """A dashboard of the collector at that address; its own address."""
    environment = environment_of(folder / "home", ROTA_HTTP=collector_http, **settings)
    address = f"http://{environment['ROTA_DASHBOARD']}"
    with serve([sys.executable, "-m", "rota_dashboard"], environment, folder / "dashboard.log", f"{address}/_stcore/health"):
        yield address
