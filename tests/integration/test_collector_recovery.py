"""The journal is the only truth between stores: whatever dies, whenever, both stores end up equal to it."""

from __future__ import annotations

import sqlite3

import duckdb
import otlp
import pytest
from campaign import Campaign, end_of
from collectors import until

from rota_collector.clock import SystemClock
from rota_collector.decode import to_rows
from rota_collector.journal import Journal
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.telemetry import Telemetry

RUNS = 12


def test_kills_at_random_moments_of_a_stream_lose_and_double_nothing(new_collector):
    """2,000 runs, SIGKILL three times, also while it starts: each run is there once, as it ended, in both stores."""
    campaign = Campaign(new_collector(), runs=2000, kills=3, seed=1)
    campaign.play()
    assert campaign.retried > 0
    campaign.check()


@pytest.fixture
def stopped(new_collector):
    """A home with some runs in it, whose collector was killed right after the last acknowledgement."""
    collector = new_collector().start()
    for n in range(RUNS):
        collector.send(*otlp.whole_run(n, end_of(n)))
        collector.send_spans(otlp.task(n, 1, "load"))
    collector.applied()
    before = collector.all_runs(), collector.item(f"/runs/{otlp.run_id(3)}")
    collector.send(*otlp.whole_run(RUNS, "failed"))
    collector.kill()
    return collector, before


def answers(collector):
    """What was there before, without the run that came last."""
    runs = [run for run in collector.applied().all_runs() if run["id"] != otlp.run_id(RUNS)]
    return runs, collector.item(f"/runs/{otlp.run_id(3)}")


def test_what_was_acknowledged_last_is_there_after_a_kill(stopped):
    """The followers had no time for it: the next start applies it."""
    collector, before = stopped
    collector.start()
    assert answers(collector) == before
    assert collector.item(f"/runs/{otlp.run_id(RUNS)}")["state"] == "failed"


@pytest.mark.parametrize("store", ["control.sqlite", "telemetry.duckdb", "both"])
def test_a_store_that_is_lost_is_rebuilt_from_the_journal(stopped, store):
    """Delete one store, or both: after the next start every answer is as before."""
    collector, before = stopped
    for path in collector.home.iterdir():
        if path.name.startswith(("control.", "telemetry.") if store == "both" else store):
            path.unlink()
    collector.start()
    assert answers(collector) == before


@pytest.mark.parametrize("ahead", ["control", "telemetry"])
def test_a_death_between_the_two_commits_is_made_up_for(stopped, ahead):
    """One store has applied everything and the other nothing of the last records: nothing is lost, nothing is there twice."""
    collector, before = stopped
    journal = Journal(collector.home / "journal", clock=SystemClock())
    records = journal.read(0, 1 << 30)
    if ahead == "control":
        control = Control(collector.home / "control.sqlite")
        control.apply(to_rows.run_events(records), records[-1].next_offset)
        reached = control.offset()
        control.close()
    else:
        telemetry = Telemetry.open(collector.home / "telemetry.duckdb")
        telemetry.apply(journal.read(telemetry.offset(), 1 << 30) or records)
        reached = telemetry.offset()
        telemetry.close()
    assert reached == journal.durable_end
    journal.close()
    collector.start()
    assert answers(collector) == before
    assert len(collector.all_runs()) == RUNS + 1
    rows = collector.post("/api/v1/sql", {"query": "SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM run_events"}).json()[
        "items"
    ]
    assert rows == [{"n": 2 * (RUNS + 1), "d": 2 * (RUNS + 1)}]


def test_a_cursor_that_was_set_back_changes_nothing(stopped):
    """A store restored from an older copy meets records that it has: replaying them is harmless in both."""
    collector, before = stopped
    collector.start().applied()
    assert collector.stop() == 0
    with sqlite3.connect(collector.home / "control.sqlite") as connection:
        connection.execute("UPDATE cursor SET offset = 0")
    connection.close()
    collector.start()
    assert answers(collector) == before


def test_a_stop_lets_the_stores_finish(new_collector):
    """After a clean stop everything acknowledged is in both stores: the next start has nothing to do."""
    collector = new_collector().start()
    for n in range(RUNS):
        collector.send(*otlp.whole_run(n))
    assert collector.stop() == 0
    control = Control(collector.home / "control.sqlite")
    assert len(control.runs(RunFilter(), None, 100).items) == RUNS
    control.close()
    with duckdb.connect(str(collector.home / "telemetry.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM run_events").fetchone() == (2 * RUNS,)


def test_a_torn_write_is_set_aside_and_said(stopped):
    """Bytes of a record that a crash cut short are moved to quarantine; all before them is there, and new ones are taken."""
    collector, before = stopped
    segment = max((collector.home / "journal").glob("*.journal"))
    with open(segment, "ab") as file:
        file.write(b"half a reco")
    collector.start()
    assert answers(collector) == before
    assert "moved 11 bytes of an unfinished write" in collector.stderr
    collector.send(*otlp.whole_run(99))
    until(lambda: collector.get(f"/api/v1/runs/{otlp.run_id(99)}").status_code == 200, "the new run")
