"""Cron: the real daemon, with a crontab whose `SHELL=` is rota-sh; its lines are due when the daemon starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from collectors import until
from crons import BIN, CAN_RUN, MINUTES_SECONDS, NEEDS, Cron

from observers.system import ENDED_BY, System

ZONE = "Europe/Berlin"
ONE_COMMAND = "a line of a crontab is one command"
# A job's own words, and what rota is told in the remark behind it.
LINES = {
    "success": ("true", ""),
    "failure": ("exit 3", ""),
    "retry": ("test -e tried || { touch tried; exit 75; }", "attempts=2 wait=1s"),
    "cancel": ("echo $$ > cancel.part; mv cancel.part cancel.pid; exec sleep 60", ""),
    "killed": ("echo $$ > killed.part; mv killed.part killed.pid; exec sleep 60", ""),
    "schedule": ("true", ""),
}


def run(scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """Under rota-sh."""
    _run(scenarios, folder, environment, f"SHELL={BIN}/rota-sh")


def run_logged(scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """As they are, and look at cron's log then."""
    _run(scenarios, folder, environment)


def _run(scenarios: str, folder: Path, environment: dict[str, str], *above: str) -> None:
    """Have cron run a line for each of them, and wait until it waits for none any more."""
    if not CAN_RUN:
        pytest.skip(NEEDS)
    settings = {name: value for name, value in environment.items() if name.startswith("ROTA_")}
    daemon, names = Cron(folder / "cron", settings), scenarios.split()
    work = folder / "work"
    work.mkdir()
    lines = [line(name, work) for name in names]
    daemon.write("crontabs/root", *above, *lines)
    daemon.start(15, TZ=ZONE)
    try:
        for name in names:
            until((work / f"{name}.began").exists, f"cron runs {name}", MINUTES_SECONDS)
        for name, number in [(name, ENDED_BY[name]) for name in names if name in ENDED_BY]:
            until((work / f"{name}.pid").exists, f"the job {name}")
            os.kill(int((work / f"{name}.pid").read_text()), signal.SIGTERM if number == signal.SIGINT else number)
        until(lambda: not daemon.children, "the ends of the jobs")
        if not above:
            daemon.observe(environment, "--loglevel", "15", "--tz", ZONE)  # another test's daemon may be there too
    finally:
        daemon.stop()


def line(name: str, work: Path) -> str:
    """Of a crontab, for that scenario."""
    script, (job, remark) = work / f"{name}.sh", LINES[name]
    script.write_text(f"cd {work}\n: > {name}.began\n{job}\n")
    when = "* * * * *" if name == "schedule" else "@reboot"
    return f"{when} exec sh {script}  # rota: name={name} {remark}"


SYSTEMS = {
    "cron": System(
        run,
        except_for=dict.fromkeys(("skip", "upstream", "fan_out"), ONE_COMMAND),
        instead={  # a command has no tasks
            "success": {"tasks": {}},
            "failure": {"tasks": {}, "error": {}},
            "schedule": {"declares": {"cron": "* * * * *", "tz": ZONE}, "tasks": {}},  # a time that comes soon
            "retry": {"run": ["running", "retry_wait", "succeeded"], "tasks": {}, "attempts": {}},  # of the run
        },
        together=tuple(name for name in LINES if name != "schedule"),
        soak=("schedule",),
    ),
    "cron, by its log": System(
        run_logged,
        except_for={
            "retry": "cron runs a line once",
            "cancel": "the log is read when all is over: see its tests",
            **dict.fromkeys(("skip", "upstream", "fan_out"), ONE_COMMAND),
        },
        instead={
            "success": {"tasks": {}},
            "failure": {"tasks": {}, "error": {}},
            "schedule": {"declares": {"cron": "* * * * *", "tz": ZONE}, "tasks": {}},
        },
        together=("success", "failure", "killed"),
        soak=("schedule",),
        tells_schedules=True,
    ),
}
