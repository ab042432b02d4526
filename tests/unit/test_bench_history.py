"""The history that ``bench.history`` makes: every character of the story is there, found by the collector's own code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rota_collector.clock import ManualClock
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.expectations import Expectations
from rota_collector.store.slots import SlotFilter
from rota_collector.store.telemetry import Telemetry

TOP = Path(__file__).parents[2]
NOW = 1_790_000_000 * 10**9  # a Monday, 2026-09-21T14:13:20Z
DAY = 86_400 * 10**9


class Home:
    """A history, and its stores opened as a collector would."""

    def __init__(self, path: Path, **asked) -> None:
        from bench.history import make

        self.story = make(path, now_ns=NOW, days=3, workflows=12, **asked)
        self.control = Control(path / "control.sqlite")
        self.expectations = Expectations(self.control.engine, ManualClock(NOW))
        self.telemetry = Telemetry.open(path / "telemetry.duckdb")

    def close(self):
        self.telemetry.close()
        self.control.close()

    def run(self, name):
        return self.control.run(self.story.runs[name])

    def incident(self, name):
        return self.expectations.incidents.get(self.story.incidents[name])

    def verdicts(self, workflow):
        """Of the slots that were judged, the last first."""
        page = self.expectations.slots.page(SlotFilter(workflow), None, 1000)
        return [row.slot.verdict for row in page.items if row.slot.verdict is not None]

    def slot_of(self, name):
        rows = self.expectations.slots.page(SlotFilter(), None, 10_000).items
        return next(row.slot for row in rows if row.slot.run_id == self.story.runs[name])

    def ids_and_verdicts(self):
        """What has to be the same each time."""
        with self.control.engine.begin() as connection:
            runs = connection.exec_driver_sql("SELECT run_id, state, started_ns, ended_ns FROM runs ORDER BY run_id").all()
            slots = connection.exec_driver_sql("SELECT workflow, host, due_ns, verdict, run_id FROM slots ORDER BY 1, 2, 3").all()
        return runs, slots


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOP))
        home = Home(tmp_path_factory.mktemp("history") / "home", hostile=True)
        yield home
        home.close()


def test_the_nightly_workflow_missed_its_last_slot_and_speaks_for_its_dependents(home):
    """One missed incident is open, and the incidents of the three workflows that need it are suppressed by it."""
    story, incident = home.story, home.incident("missed")
    assert (incident.kind, incident.workflow, incident.closed_ns) == ("missed", story.missed_workflow, None)
    assert home.verdicts(story.missed_workflow)[0] == "missed"
    members = home.expectations.incidents.members(incident.id)
    assert sorted(member.workflow for member in members if member.closed_ns is None) == sorted(story.dependents)


def test_the_nightly_workflow_has_a_policy_of_many_versions(home):
    """What code declared comes first, what people stored after it, each with who and why; what is stored is in force."""
    versions = home.expectations.policies.history(home.story.missed_workflow)
    assert [version.origin for version in versions] == ["stored", "stored", "stored", "code"]
    assert (versions[0].author, bool(versions[0].reason)) == ("maya", True)
    view = home.expectations.policies.view(home.story.missed_workflow)
    assert (view.declared["schedule"]["grace"], view.in_force["schedule"]["grace"]) == ("10m", "15m")


def test_the_failed_run_shows_where_it_failed(home):
    """Two runs in a row failed as their database went away: rows that fail, the last task after them, a stack, and logs."""
    run = home.run("failed")
    assert (run.state, run.error_type) == ("failed", "psycopg.OperationalError")
    assert run.error_message.startswith("connection refused")
    assert "publish(rows)" in run.error_stack
    assert (home.incident("failed").run_id, home.incident("failed").summary) == (run.run_id, "2 runs in a row failed")
    states = [(task["name"], task["state"]) for task in home.telemetry.run_tasks(run.run_id)]
    assert {("extract", "succeeded"), ("load_row", "succeeded"), ("load_row", "failed"), ("publish", "failed")} <= set(states)
    assert {"INFO", "WARN", "ERROR"} <= {log["severity"] for log in home.telemetry.run_logs(run.run_id)}


def test_good_runs_recorded_their_rows_and_their_calls(home):
    """A task says how many rows it moved; below it are the calls to the database and to the web."""
    good = home.control.runs(RunFilter(workflow="ingest.orders", states=("succeeded",)), limit=1).items[0]
    rows = {task["name"]: task["attributes"].get("rows") for task in home.telemetry.run_tasks(good.run_id)}
    assert rows["extract"] > 1000
    calls = [span["attributes"] for span in home.telemetry.run_spans(good.run_id) if span["kind"] == "client"]
    assert {"db.system.name", "http.request.method", "server.address"} <= {name for call in calls for name in call}


def test_runs_ended_in_every_special_way(home):
    """One was given up, one vanished, one was cancelled, one took a second attempt, and one was suspiciously short."""
    ended = {name: (home.run(name).state, home.run(name).reason) for name in ("timed_out", "crashed", "cancelled")}
    assert ended == {
        "timed_out": ("timed_out", "max_duration"),
        "crashed": ("crashed", "vanished"),
        "cancelled": ("cancelled", "sigterm"),
    }
    assert (home.run("retried").state, home.run("retried").attempt) == ("succeeded", 2)
    roots = [span for span in home.telemetry.run_spans(home.story.runs["retried"]) if span["kind"] == "server"]
    assert [span["attributes"]["rota.run.state"] for span in roots] == ["failed", "succeeded"]
    assert home.incident("too_long").run_id == home.story.runs["timed_out"]


def test_slots_have_every_verdict(home):
    """On time, early, late, missed, skipped, and unknown where rota did not watch yet."""
    with home.control.engine.begin() as connection:
        found = set(connection.exec_driver_sql("SELECT DISTINCT verdict FROM slots WHERE verdict IS NOT NULL").scalars())
    assert found == {"on_time", "early", "late", "missed", "skipped", "unknown"}
    assert (home.slot_of("early").verdict, home.slot_of("late").verdict) == ("early", "late")
    assert "unknown" in home.verdicts(home.story.unknown_workflow)


def test_a_downtime_of_the_collector_is_in_the_record(home):
    """Slots inside it were unknown first; what really did not run is one incident, which is over."""
    told = home.telemetry.sql("SELECT count(*) FROM slot_events WHERE reason = 'the collector was down'")
    assert told.rows[0][0] > 10
    incident = home.incident("downtime")
    assert incident.closed_ns is not None
    assert home.expectations.incidents.members(incident.id) != []


def test_a_silent_host_is_one_incident_that_is_over(home):
    """Three workflows and more did not run there, and people read of one incident."""
    incident = home.incident("host_silent")
    assert incident.closed_ns is not None
    assert "etl-2" in incident.summary


def test_people_acted_on_incidents(home):
    """One is acknowledged, one is snoozed, one was closed by a person."""
    assert home.incident("acknowledged").acked_by == "maya"
    assert home.incident("snoozed").snoozed_until_ns > NOW
    assert home.incident("closed_by_person").closed_by == "jonas"


def test_some_runs_are_under_way(home):
    """A few run at this moment, one of them with a task that goes on; a service has told for days how far it is."""
    running = home.control.runs(RunFilter(states=("running",))).items
    assert 2 <= len(running) <= 8
    assert "running" in [task["state"] for task in home.telemetry.run_tasks(home.story.running_run)]
    said = [log["body"] for log in home.telemetry.run_logs(home.story.runs["service"]) if log["body"]]
    assert sum("processed" in text for text in said) > 100


def test_one_workflow_is_paused_and_one_never_ran(home):
    """Both are listed, with what is ahead of them."""
    ahead = home.expectations.slots.outlooks([home.story.paused_workflow], NOW)
    assert ahead[home.story.paused_workflow].paused
    assert home.control.workflow(home.story.never_ran_workflow, NOW).last_run is None


def test_commands_tell_what_they_used(home):
    """The end of a run under `rota exec` carries the figures of its process; some processes were measured all along."""
    query = "SELECT attributes FROM logs WHERE event_name = 'rota.run.state' AND contains(attributes, 'rota.process.memory.peak')"
    pairs = json.loads(home.telemetry.sql(query).rows[0][0])
    assert pairs["rota.process.cpu.user_seconds"] > 0
    measured = home.telemetry.sql("SELECT DISTINCT name FROM metrics WHERE run_id IS NOT NULL ORDER BY name").rows
    assert measured == [("process.cpu.time",), ("process.memory.usage",)]


def test_nothing_waits_to_be_sent(home):
    """A collector that is started on this home tells nobody about the past."""
    with home.control.engine.begin() as connection:
        sent, waiting = connection.exec_driver_sql("SELECT count(sent_ns), count(*) - count(sent_ns) FROM outbox").one()
    assert sent > 0
    assert waiting == 0


def test_hostile_text_is_kept_as_it_is(home):
    """Markup, escape sequences and a megabyte of message are there for whoever has to show them."""
    run = home.control.run(home.story.hostile_run)
    assert "<img src=x" in run.workflow
    assert "\x1b[31m" in run.error_message
    assert len(run.error_message) > 1 << 20


def test_the_same_seed_makes_the_same_history(home, monkeypatch, tmp_path):
    """Runs and verdicts are the same, so that a screenshot can be taken again."""
    monkeypatch.syspath_prepend(str(TOP))
    again = Home(tmp_path / "again", hostile=True)
    assert again.ids_and_verdicts() == home.ids_and_verdicts()
    assert again.story._replace(home=home.story.home) == home.story
    again.close()
    shutil.rmtree(tmp_path / "again")


def test_a_home_with_a_history_is_left_alone(home):
    """It is said, and nothing is written."""
    from bench.history import make

    with pytest.raises(FileExistsError, match="holds a history already"):
        make(home.story.home, now_ns=NOW, days=3)
    with pytest.raises(ValueError, match="days=2"):
        make(home.story.home / "other", days=2)
