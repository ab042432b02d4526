"""APScheduler's own: what its triggers are as schedules, and what goes wrong in its pools."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from in_system import scripted
from observed import schedules, seen

from rota_collector.domain import schedule

TRIGGERS = """
    import json
    from datetime import datetime, timedelta, timezone
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.date import DateTrigger
    from apscheduler.triggers.interval import IntervalTrigger
    from rota_integrations.apscheduler.schedules import declared

    def coming(trigger):
        now, found = datetime(2026, 3, 1, 0, 0, 30, tzinfo=timezone.utc), []
        for _ in range(40):
            found.append(trigger.get_next_fire_time(found[-1] if found else None, now))
            now = found[-1] + timedelta(seconds=1)
        return [moment.timestamp() for moment in found]

    cron = [CronTrigger(timezone="UTC", **fields) for fields in (
        {"hour": 2}, {"minute": "*/7"}, {"minute": "5/20"}, {"hour": "8-18/2", "minute": "0,30"}, {"day_of_week": 0},
        {"day": "*/9"},
        {"day_of_week": "mon-fri", "hour": 6}, {"day_of_week": "*/2"}, {"day_of_week": "5,6", "minute": 1},
        {"month": "jan,jul-sep"},
        {"month": "*/5", "day": "31"}, {"day_of_week": "2/3", "hour": "*", "minute": 59},
    )]
    other = [CronTrigger(timezone="UTC", **fields) for fields in (
        {"second": 30}, {"week": 7}, {"year": 2027}, {"day": "last"}, {"day": "2nd fri"}, {"day": 1, "day_of_week": "mon"},
        {"hour": 2, "end_date": "2030-01-01"},
    )] + [DateTrigger(), IntervalTrigger(seconds=1, end_date="2030-01-01")]
    other += [CronTrigger(hour=1, timezone=timezone(timedelta(hours=1)))]
    print(json.dumps({
        "cron": [[declared(trigger), coming(trigger)] for trigger in cron], "other": [declared(trigger) for trigger in other],
        "interval": declared(IntervalTrigger(minutes=5)),
    }))
"""

POOLS = """
    import os, sys, threading, time
    from datetime import datetime, timedelta, timezone
    from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    import rota_integrations.apscheduler

    def dies():
        os.kill(os.getpid(), 9)

    def fails():
        raise ValueError("row 7")

    def fine():
        pass

    def lasts():
        time.sleep(float(os.environ.get("SECONDS", "0")))

    def run(pool, *functions, **how):
        scheduler = BackgroundScheduler(executors={"default": pool})
        for function in functions:
            scheduler.add_job(function, next_run_time=datetime.now(timezone.utc), misfire_grace_time=60, **how)
        scheduler.start()
        time.sleep(float(os.environ.get("UP", "1")))
        scheduler.shutdown()
"""


JOBS = """
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.cron import CronTrigger
    import rota_integrations.apscheduler

    def job(): ...

    scheduler = BackgroundScheduler()
    yearly, hourly = CronTrigger(month=1, day=1, timezone="UTC"), CronTrigger(minute=0, hour=0, month=1, day=2, timezone="UTC")
    for name in ("stays", "moved", "paused", "removed"):
        scheduler.add_job(job, yearly, id=name)
    scheduler.add_job(job, yearly)
    scheduler.start()
    scheduler.reschedule_job("moved", trigger=hourly)
    scheduler.pause_job("paused")
    scheduler.resume_job("paused")
    scheduler.pause_job("paused")
    scheduler.remove_job("removed")
    scheduler.shutdown()
"""


def test_schedules_are_told_before_the_first_run_until_they_are_taken_away(tmp_path: Path) -> None:
    """Those of jobs that have an id of their own; they stay when the scheduler ends: then they are missed."""
    done = scripted("apscheduler", JOBS, tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    yearly = "0 0 1 1 *"
    assert {name: [each["schedule"] for each in told] for name, told in schedules(tmp_path / "home").items()} == {
        "stays": [yearly], "moved": [yearly, "0 0 2 1 *"], "paused": [yearly, None, yearly, None], "removed": [yearly, None],
    }  # fmt: skip


def test_cron_triggers_mean_the_same_as_their_cron(tmp_path: Path) -> None:
    """Weeks that begin on Monday, steps from an offset and names included: the next 40 times are equal."""
    done = scripted("apscheduler", TRIGGERS, tmp_path / "home")
    told = json.loads(done.stdout)
    for said, times in told["cron"]:
        ours = schedule.parse(said["rota.schedule.spec"], said["rota.schedule.tz"])
        at_ns, found = int(datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC).timestamp()) * 10**9, []
        for _ in times:
            at_ns = ours.next_after(at_ns) or 0
            found.append(at_ns / 1e9)
        assert found == times, said


def test_what_cron_cannot_say_is_not_declared(tmp_path: Path) -> None:
    """Seconds, years, weeks, the last Friday, an end, zones without a name: a wrong schedule is worse than none."""
    told = json.loads(scripted("apscheduler", TRIGGERS, tmp_path / "home").stdout)
    assert set(map(str, told["other"])) == {"{}"}
    assert told["interval"] == {"rota.schedule.spec": "every 300s"}


def test_a_process_of_the_pool_that_is_killed_has_crashed(tmp_path: Path) -> None:
    """Its scheduler logs it and tells no event; and the scheduler goes on."""
    code = POOLS + '\n    if __name__ == "__main__":\n        run(ProcessPoolExecutor(1), dies)\n'
    done = scripted("apscheduler", code, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    (run,) = seen(tmp_path / "home")
    assert (run.workflow, run.states) == ("dies", ["running", "crashed"])


def test_a_job_that_is_still_running_is_skipped_the_next_time(tmp_path: Path) -> None:
    """With max_instances as the reason."""
    code = POOLS + '\n    run(ThreadPoolExecutor(2), lasts, trigger="interval", seconds=1)\n'
    scripted("apscheduler", code, tmp_path / "home", SECONDS="3", UP="2.5")
    words = [run.raw for run in seen(tmp_path / "home")]
    assert ["max_instances"] in words
    assert ["running", "executed"] in words


@pytest.mark.parametrize("broken", [True, False])
def test_jobs_run_as_without_rota(broken: bool, tmp_path: Path) -> None:
    """Where nothing can be written, too: no word of ours, nothing raised."""
    home = tmp_path / "home"
    if broken:
        home.write_text("a file where a folder should be")
    code = POOLS + "\n    run(ThreadPoolExecutor(1), fails, fine)\n"
    done = scripted("apscheduler", code, home)
    assert done.returncode == 0
    assert "rota_integrations" not in done.stderr
    assert "/sdk/rota/" not in done.stderr
    assert "ValueError: row 7" in done.stderr


def test_other_versions_are_refused(tmp_path: Path) -> None:
    """With what is needed, what is there, and how to get it."""
    code = """
        from importlib import metadata
        import sys
        metadata.version = lambda name: sys.argv[0] and VERSION
        import rota_integrations.apscheduler
    """
    for version in ("3.9.1", "4.0.0a6"):
        done = scripted("apscheduler", code.replace("VERSION", repr(version)), tmp_path / "home")
        said = f"needs apscheduler 3.10, below 4; {version} is installed: pip install 'rota[apscheduler]'"
        assert said in done.stderr
