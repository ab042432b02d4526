"""Dashboards, for tests that look at them in a browser."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bench.history import Story
from collectors import CollectorProcess
from servers import client_of, environment_of, rota, serve

BERLIN = ZoneInfo("Europe/Berlin")  # where the person sits who looks


class Looked(NamedTuple):
    """A dashboard, the collector that it shows, and what happened there."""

    url: str
    collector: CollectorProcess
    story: Story

    @property
    def missed_on(self) -> date:
        """The day, in Berlin, of the last slot at 02:00 that the nightly one missed: today, or in the first hours yesterday."""
        return self._missed("due_at")

    @property
    def missed_since(self) -> date:
        """The day of the first one."""
        return self._missed("opened_at")

    @property
    def missed_slot(self) -> str:
        """The last one as the page calls it."""
        return "its 02:00 slot" if self.missed_on == datetime.now(BERLIN).date() else "its slot of yesterday 02:00"

    def _missed(self, moment: str) -> date:
        incident = self.collector.item(f"/incidents/{self.story.incidents['missed']}")
        return datetime.fromisoformat(incident[moment]).astimezone(BERLIN).date()


@contextlib.contextmanager
def dashboard(collector_http: str, folder: Path, **settings: str) -> Iterator[str]:
    """A dashboard of the collector at that address; its own address."""
    environment = environment_of(folder / "home", ROTA_HTTP=collector_http, **settings)
    address = f"http://{environment['ROTA_DASHBOARD']}"
    with serve([sys.executable, "-m", "rota_dashboard"], environment, folder / "dashboard.log", f"{address}/_stcore/health"):
        yield address


def key_of(collector: CollectorProcess, scope: str, **settings: str) -> str:
    """A new key; the first must be an admin's."""
    done = rota("key", "create", "--scope", scope, "--name", scope, "--json", environment=client_of(collector) | settings)
    found = re.search(r'"key": "(\w\w_[\w-]+)"', done.stdout)
    assert found is not None, done.stdout
    return found[1]
