"""systemd: what its journal has after each scenario, field by field as systemd writes it, through programs that stand in for
`journalctl` and `systemctl`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from orchestrators import SOURCES
from servers import rota

from observers.system import System
from rota_integrations.systemd import journal

FIRST, SECOND = "8dd1e0a5a2c04f0aa5ea0ad11c2b6f01", "8dd1e0a5a2c04f0aa5ea0ad11c2b6f02"  # invocations
BOOT = "c7d9dd6bd9f24fc0a9d84b9a3b0c1d21"
T0 = 1_793_500_000_000_000  # µs
SHOWN = """\
Unit={unit}
Id=apt-daily.timer
TimersCalendar={{ OnCalendar=*-*-* 02:00:00 Europe/Berlin ; next_elapse=Fri 2026-11-27 02:00:00 CET }}
RandomizedDelayUSec=0
AccuracyUSec=1min
"""
PROGRAM = """#!{python}
import sys
cursor = next((word[15:] for word in sys.argv if word.startswith("--after-cursor=")), "")
lines = open({path!r}).read().splitlines(True)
begin = next((n + 1 for n, line in enumerate(lines) if cursor and '"%s"' % cursor in line), 0)
sys.stdout.write("".join(lines[begin:]))
"""
STARTING = {"MESSAGE_ID": journal.STARTING, "MESSAGE": "Starting backup.service...", "JOB_TYPE": "start", "JOB_ID": "1012"}
FINISHED = {"MESSAGE_ID": journal.STARTED, "MESSAGE": "Finished backup.service.", "JOB_RESULT": "done", "JOB_ID": "1012"}
SUCCESS = {"MESSAGE_ID": journal.SUCCESS, "MESSAGE": "backup.service: Deactivated successfully."}
STOPPING = {"MESSAGE_ID": journal.STOPPING, "MESSAGE": "Stopping backup.service...", "JOB_TYPE": "stop", "JOB_ID": "1040"}
RESTART = {"MESSAGE_ID": journal.RESTART, "MESSAGE": "backup.service: Scheduled restart job, restart counter is at 1."}
SKIPPED = {"MESSAGE_ID": journal.SKIPPED, "MESSAGE": "backup.service: Skipped due to 'exec-condition'."}
DEPENDENCY = {"MESSAGE_ID": journal.FAILED, "JOB_TYPE": "start", "JOB_RESULT": "dependency", "JOB_ID": "1013"}


def exited(code: str, status: int) -> dict[str, str]:
    message = f"backup.service: Main process exited, code={code}, status={status}"
    return {"MESSAGE_ID": journal.EXIT, "EXIT_CODE": code, "EXIT_STATUS": str(status), "COMMAND": "ExecStart", "MESSAGE": message}


def failure(result: str) -> dict[str, str]:
    return {"MESSAGE_ID": journal.FAILURE, "UNIT_RESULT": result, "MESSAGE": f"backup.service: Failed with result '{result}'."}


def again(entry: dict[str, str]) -> dict[str, str]:
    return entry | {"INVOCATION_ID": SECOND}


FAILED = [STARTING, exited("exited", 3), failure("exit-code")]
ENTRIES: dict[str, list[dict[str, str]]] = {
    "success": [STARTING, SUCCESS, FINISHED],
    "failure": FAILED,
    "retry": [*FAILED, RESTART, again(STARTING), again(SUCCESS), again(FINISHED)],
    "skip": [STARTING, SKIPPED | {"UNIT_RESULT": "exec-condition"}],
    "upstream": [DEPENDENCY],
    "cancel": [STARTING, STOPPING, exited("killed", 15), failure("signal")],
    "killed": [STARTING, exited("killed", 9), failure("signal")],
    "schedule": [STARTING, SUCCESS, FINISHED],
}


def lines(unit: str, entries: list[dict[str, str]], boot: str = BOOT) -> str:
    """The journal in the form of ``journalctl -o json``."""
    told: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        place = {"__CURSOR": f"s=1f;i={number:x};b={boot}", "__REALTIME_TIMESTAMP": str(T0 + number * 1_000_000)}
        about = {"_BOOT_ID": boot, "_HOSTNAME": "db1", "UNIT": unit, "SYSLOG_IDENTIFIER": "systemd"}
        told.append({**place, **about, **({} if entry is DEPENDENCY else {"INVOCATION_ID": FIRST}), **entry})
    return "".join(json.dumps(each) + "\n" for each in told)


def programs(folder: Path, unit: str, entries: list[dict[str, str]]) -> Path:
    """A folder for PATH, with a journal of these entries."""
    folder.mkdir(exist_ok=True)
    for name, text in (("journalctl", lines(unit, entries)), ("systemctl", SHOWN.format(unit=unit))):
        (folder / f"{name}.txt").write_text(text)
        (folder / name).write_text(PROGRAM.format(python=sys.executable, path=str(folder / f"{name}.txt")))
        (folder / name).chmod(0o755)
    return folder


def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """Look on from outside, twice."""
    found = programs(folder / "bin", f"{scenario}.service", ENTRIES[scenario])
    settings = environment | {"PATH": f"{found}{os.pathsep}{environment['PATH']}", "PYTHONPATH": SOURCES}
    for _ in range(2):
        done = rota("observe", "systemd", "--once", environment=settings)
        assert done.returncode == 0, done.stderr


SYSTEMS = {
    "systemd": System(
        run,
        except_for={"fan_out": "a service is one command after another; a template's instances are workflows each"},
        instead={  # a service has no tasks
            "success": {"tasks": {}},
            "failure": {"tasks": {}, "error": {}},
            "retry": {"run": ["running", "failed", "succeeded"], "tasks": {}, "attempts": {}},  # attempts of the run
            "skip": {"tasks": {}},
            "upstream": {"run": ["upstream_failed"], "tasks": {}},  # of a unit that another one requires
            "cancel": {"run": ["running", "cancelling", "cancelled"]},
            "schedule": {"declares": {"cron": "*-*-* 02:00:00", "tz": "Europe/Berlin"}},
        },
        tells_schedules=True,
    )
}
