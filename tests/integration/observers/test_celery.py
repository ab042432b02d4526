"""Celery's own: chains of programs, processes that die, time limits, crontabs; and a worker that notices nothing of us."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from in_system import scripted
from observed import Seen, schedules, seen

from rota_collector.domain import schedule

WORKER = """
    import os, sys, tempfile, threading, time
    from celery import Celery, chain
    import rota_integrations.celery

    folder = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(__file__)))
    where = {name: os.path.join(folder, name) for name in ("queue", "control", "results")}
    for each in where.values():
        os.mkdir(each)
    app = Celery("own", broker="filesystem://", backend="file://" + where["results"])
    app.conf.broker_transport_options = {
        "data_folder_in": where["queue"], "data_folder_out": where["queue"], "control_folder": where["control"],
        "polling_interval": 0.05,
    }
    app.conf.update(broker_connection_retry_on_startup=True, worker_lost_wait=1)

    @app.task(name="dies")
    def dies():
        os.kill(os.getpid(), 9)

    @app.task(name="hangs", time_limit=1)
    def hangs():
        time.sleep(60)

    @app.task(name="first")
    def first(fails=False):
        if fails:
            raise ValueError("row 7")

    @app.task(name="second")
    def second():
        pass

    @app.task(name="calls")
    def calls():
        second.delay()

    def stop(results):
        deadline = time.monotonic() + 60
        while not all(result.ready() for result in results) and time.monotonic() < deadline:
            time.sleep(0.1)
        print([result.state for result in results], file=sys.__stdout__, flush=True)
        time.sleep(0.5)
        os.kill(os.getpid(), 15)

    def work(*results):
        threading.Thread(target=stop, args=[results], daemon=True).start()
        app.worker_main(["--quiet", "worker", "--concurrency", "2", "--loglevel", "CRITICAL", "--without-mingle"])
"""

BEAT = """
    import os, threading
    from celery import Celery
    from celery.schedules import crontab
    import rota_integrations.celery

    app = Celery("own", broker="memory://")
    app.conf.beat_schedule = {
        "nightly": {"task": "report", "schedule": crontab(minute="0", hour="2", day_of_month="1", month_of_year="1")},
        "first": {"task": "twice", "schedule": crontab(minute="0", hour="3", day_of_month="1", month_of_year="1")},
        "second": {"task": "twice", "schedule": crontab(minute="0", hour="4", day_of_month="1", month_of_year="1")},
    }
    threading.Timer(2, os.kill, [os.getpid(), 15]).start()
    app.Beat(loglevel="CRITICAL", quiet=True, schedule=os.path.abspath(__file__) + ".beat").run()
"""

CRONTABS = """
    import json
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo
    from celery import Celery
    from celery.schedules import crontab, schedule
    import rota_integrations.celery
    from rota_integrations.celery import beat

    app = Celery("own")
    app.conf.timezone = "Europe/Berlin"
    app.set_default()
    zone, told = ZoneInfo("Europe/Berlin"), []
    for fields in (
        {"minute": "0", "hour": "2"}, {"minute": "*/7"}, {"minute": "30", "hour": "22-2"}, {"minute": "0", "hour": "8-18/2"},
        {"minute": "5", "hour": "1", "day_of_week": "mon-fri"}, {"minute": "5", "hour": "1", "day_of_week": "sat,0"},
        {"minute": "0", "hour": "0", "day_of_month": "*/9"}, {"minute": "0", "hour": "0", "month_of_year": "1,7-9"},
    ):
        when = crontab(**fields, app=app)
        start, times = datetime(2026, 5, 1, 0, 0, tzinfo=zone), []
        for minute in range(60 * 24 * 10):
            at = start + timedelta(minutes=minute)
            if beat._matches(when, at):
                times.append(at.timestamp())
        told.append([beat.declared(when), times])
    late = beat.slot_ns(crontab(minute="0", hour="2", app=app), datetime(2026, 5, 1, 2, 7, 33, tzinfo=zone))
    print(json.dumps({
        "cron": told, "late": late, "both": beat.declared(crontab(minute="0", day_of_month="1", day_of_week="1", app=app)),
        "every": beat.declared(schedule(timedelta(minutes=5), app=app)),
    }))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Seen]]:
    """What was told of all this while one worker worked, by workflow."""
    home, found = tmp_path_factory.mktemp("celery") / "home", dict[str, list[Seen]]()
    sent = "chain(first.si(), second.si()), chain(first.si(True), second.si()), calls.s(), dies.s()"
    scripted("celery", f"{WORKER}\n    work(*(each.delay() for each in ({sent})))\n", home)
    for run in seen(home):
        found.setdefault(run.workflow, []).append(run)
    return found


def test_a_chain_of_a_program_is_a_run_with_both_tasks(runs: dict[str, list[Seen]]) -> None:
    """It is over when its last task is; it fails, and what follows never begins, when the first one fails."""
    bad, fine = sorted(runs["first"], key=lambda run: run.states[-1])
    assert fine.states == ["running", "succeeded"]
    assert {name: task.last for name, task in fine.tasks.items()} == {"first": {"succeeded"}, "second": {"succeeded"}}
    assert bad.states == ["running", "failed"]
    assert {name: task.last for name, task in bad.tasks.items()} == {"first": {"failed"}, "second": {"upstream_failed"}}


def test_what_a_task_calls_is_a_task_of_its_run(runs: dict[str, list[Seen]]) -> None:
    """The run is over when the one that called is."""
    (run,) = runs["calls"]
    assert run.states == ["running", "succeeded"]
    assert {name: task.last for name, task in run.tasks.items()} == {"second": {"succeeded"}}


def test_a_task_whose_process_died_is_told_by_the_worker(runs: dict[str, list[Seen]]) -> None:
    """kill -9 of one process of a pool is a crash of the run that it executed."""
    (run,) = runs["dies"]
    assert "WORKER_LOST" in run.raw
    assert set(run.states) == {"running", "crashed"}


@pytest.mark.soak
def test_a_task_that_is_ended_at_its_time_limit_is_timed_out(tmp_path: Path) -> None:
    """Its process is killed, and the worker tells why."""
    scripted("celery", WORKER + "\n    work(hangs.delay())\n", tmp_path / "home")
    (run,) = seen(tmp_path / "home")
    assert "TIMED_OUT" in run.raw


def test_beat_tells_its_schedules_before_anything_ran(tmp_path: Path) -> None:
    """Those of tasks that one entry alone names: a workflow has one schedule."""
    scripted("celery", BEAT, tmp_path / "home")
    told = schedules(tmp_path / "home")
    assert {name: [each["schedule"] for each in said] for name, said in told.items()} == {
        "report": ["0 2 1 1 *"], "celery.backend_cleanup": ["0 4 * * *"],  # beat's own
    }  # fmt: skip
    assert seen(tmp_path / "home") == []


def test_a_worker_works_where_nothing_can_be_written(tmp_path: Path) -> None:
    """No word of ours, and every result is there."""
    home = tmp_path / "home"
    home.write_text("a file where a folder should be")
    done = scripted("celery", WORKER + "\n    work(calls.delay(), first.delay(True))\n", home)
    assert "['SUCCESS', 'FAILURE']" in done.stdout
    assert "rota_integrations" not in done.stderr


def test_crontabs_mean_the_same_as_their_cron(tmp_path: Path) -> None:
    """Their times in ten days are those of the cron that is declared, in their zone; of a late start, the time that it is for."""
    done = scripted("celery", CRONTABS, tmp_path / "home")
    told = json.loads(done.stdout)
    start_ns = int(datetime(2026, 4, 30, 21, 59, tzinfo=UTC).timestamp()) * 10**9
    for said, times in told["cron"]:
        ours, at_ns, found = schedule.parse(said["rota.schedule.spec"], said["rota.schedule.tz"]), start_ns, []
        while (at_ns := ours.next_after(at_ns) or 0) < start_ns + 10 * 86400 * 10**9 + 60 * 10**9:
            found.append(at_ns / 1e9)
        assert found == times, said
    assert told["late"] == int(datetime(2026, 5, 1, 0, 0, tzinfo=UTC).timestamp()) * 10**9
    assert (told["both"], told["every"]) == ({}, {"rota.schedule.spec": "every 300s"})
