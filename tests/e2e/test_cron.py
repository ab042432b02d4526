"""Under the real cron daemon of Debian, with real crontabs: runs, a failure, a missed slot, and the alerts about them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from collectors import CollectorProcess, until
from crons import BIN, CAN_RUN, MINUTES_SECONDS, NEEDS, Cron

from rota.cli._receiver import Receiver

pytestmark = pytest.mark.skipif(not CAN_RUN, reason=NEEDS)

TWO_LINES = """
import rota
rota.watch("two_lines", schedule="* * * * *", grace="5s")
print("as ever")
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who gets alerts."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def cron(tmp_path: Path, new_collector, receiver: Receiver) -> Iterator[tuple[Cron, CollectorProcess]]:
    """A daemon that is not started yet, and the collector that its jobs report to."""
    collector = new_collector(ROTA_WEBHOOK_ALLOW_PRIVATE="1").start()
    collector.post("/api/v1/channels", {"name": "ops", "url": receiver.url})
    home = tmp_path / "jobs"
    settings = {"ROTA_HOME": str(home), "ROTA_HTTP": collector.addresses["http"], "ROTA_AGENT": "off"}
    cron = Cron(tmp_path, settings)
    yield cron, collector
    cron.stop()


def test_cron_jobs_are_runs_and_a_job_that_stops_is_missed(cron, receiver, tmp_path):
    """Two lines, a prefix, a whole crontab: each makes runs; a failure and a job that no longer runs are told."""
    daemon, collector = cron
    script, nightly = tmp_path / "two_lines.py", tmp_path / "nightly.sh"
    script.write_text(TWO_LINES)
    nightly.write_text('#!/bin/sh\ntest -n "$TRACEPARENT" && echo linked > linked\n')
    nightly.chmod(0o755)
    prefixed = f"* * * * * {BIN}/rota exec --name prefixed -- /bin/sh -c 'exit 3'"
    daemon.write("crontabs/root", f"* * * * * {sys.executable} {script} > {tmp_path}/output", prefixed)
    daemon.write("cron.d/nightly", f"SHELL={BIN}/rota-sh", f"* * * * * root cd {tmp_path} && ./nightly.sh --full")
    daemon.start()

    def ended() -> dict[str, str]:
        return {run["workflow"]: run["state"] for run in collector.all_runs() if run["ended_at"]}

    until(lambda: {"two_lines", "prefixed", "nightly"} <= set(ended()), "three runs", MINUTES_SECONDS)
    assert {"two_lines": "succeeded", "prefixed": "failed", "nightly": "succeeded"}.items() <= ended().items()
    assert (tmp_path / "output").read_text() == "as ever\n"
    until(lambda: collector.item("/slots", workflow="nightly")["items"], "slots by the line in the crontab", MINUTES_SECONDS)
    assert (tmp_path / "linked").read_text() == "linked\n"
    until(lambda: receiver.about("prefixed", "failed"), "the alert about the failure")

    daemon.write("crontabs/root", prefixed)  # somebody edits the crontab, and a line is gone
    [alert] = until(lambda: receiver.about("two_lines", "missed"), "the alert about the job that stopped", MINUTES_SECONDS)
    assert "two_lines" in alert["title"]
    verdicts = {slot["verdict"] for slot in collector.item("/slots", workflow="two_lines")["items"]}
    assert {"on_time", "missed"} <= verdicts
