"""systemd: services that timers start, of the system's manager and of a user's; where they run, and as they were recorded.

PYTHONPATH=tests python tests/observers/systemd.py    # records them anew
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from collectors import until
from orchestrators import SOURCES
from servers import rota
from systemds import CAN_RUN, NEEDS, Systemd

from observers.system import PROGRAMS, System
from rota_integrations.systemd import journal, services, timers

RECORDED = PROGRAMS.parents[2] / "integration" / "observers" / "recordings" / "systemd"
ONESHOT = "[Service]\nType=oneshot\nExecStart="
NOTIFY = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep {seconds}'\n"
SLEEP = f"{ONESHOT}/bin/sleep 60\n"
SERVICES = {
    "success": f"{ONESHOT}/bin/true\n",
    "failure": f"{ONESHOT}/bin/sh -c 'exit 3'\n",
    "retry": f"{ONESHOT}/bin/sh -c 'test -e %t/tried || {{ touch %t/tried; exit 75; }}'\nRestart=on-failure\nRestartSec=100ms\n",
    "skip": f"{ONESHOT}/bin/true\nExecCondition=/bin/false\n",
    "upstream": f"[Unit]\nRequires=needed.service\nAfter=needed.service\n{ONESHOT}/bin/true\n",
    "cancel": SLEEP,
    "killed": SLEEP,
    "schedule": f"{ONESHOT}/bin/true\n",
}
MORE_SERVICES = {  # of which the contract does not speak
    "asserted": f"[Unit]\nAssertPathExists=/nowhere\n{ONESHOT}/bin/true\n",
    "condition": f"[Unit]\nConditionPathExists=/nowhere\n{ONESHOT}/bin/true\n",
    "core_dump": f"{ONESHOT}/bin/sh -c 'kill -ABRT $$$$'\nLimitCORE=infinity\n",
    "no_program": f"{ONESHOT}/nowhere/backup\n",
    "notify": NOTIFY.format(seconds=0.1),
    "once": f"[Unit]\nConditionPathExists=!%t/once\n{ONESHOT}/bin/touch %t/once\n",  # started twice
    "quiet": f"{ONESHOT}/bin/sh -c 'exit 3'\nLogLevelMax=warning\n",
    "remains": f"{ONESHOT}/bin/true\nRemainAfterExit=yes\n",
    "segfault": f"{ONESHOT}/bin/sh -c 'kill -SEGV $$$$'\nLimitCORE=0\n",
    "simple": "[Service]\nExecStart=/bin/sleep 0.1\n",  # started twice
    "simple_cancel": "[Service]\nExecStart=/bin/sleep 60\n",
    "terminated": SLEEP,
    "timeout": f"{SLEEP}TimeoutStartSec=200ms\n",
    "watchdog": NOTIFY.format(seconds=60) + "WatchdogSec=200ms\n",
    "powerless": SLEEP,
}
TIMER = "[Timer]\nOnActiveSec=0\nOnCalendar=*-*-* 02:00:00 Europe/Berlin\nAccuracySec=1us\n"
ENDED_BY_HAND = {
    "cancel": ["stop"],
    "simple_cancel": ["stop"],
    "killed": ["kill", "--signal=KILL"],
    "terminated": ["kill", "--signal=TERM"],
}
NEVER_ENDED = "powerless"
TWICE = ("once", "simple")
# In the place of journalctl and systemctl: what they said when it was recorded.
JOURNALCTL = """#!{python}
import sys
cursor = next((word[15:] for word in sys.argv if word.startswith("--after-cursor=")), "")
lines = open({folder!r} + "/journal").read().splitlines(True)
begin = next((n + 1 for n, line in enumerate(lines) if cursor and '"%s"' % cursor in line), 0)
sys.stdout.write("".join(lines[begin:]))
"""
SYSTEMCTL = """#!{python}
import sys
sys.stdout.write(open({folder!r} + ("/timers" if "*.timer" in sys.argv else "/services")).read())
"""


def play(host: Systemd, texts: dict[str, str]) -> None:
    """Have timers start them all, end those that are ended by hand, and wait until nothing happens any more."""
    host.unit("needed.service", f"{ONESHOT}/bin/false\n")
    for name, text in texts.items():
        host.unit(f"{name}.service", text)
        host.unit(f"{name}.timer", TIMER)
    host.manage("daemon-reload")
    host.manage("start", *(f"{name}.timer" for name in texts))
    until(lambda: "0" not in shown(host, "LastTriggerUSecMonotonic", *(f"{name}.timer" for name in texts)), "the timers")
    for name, command in ENDED_BY_HAND.items():
        if name in texts:
            until(lambda unit=f"{name}.service": "0" not in shown(host, "ExecMainPID", unit), f"{name} to begin")
            host.manage(*command, f"{name}.service")
    ending = [f"{name}.service" for name in texts if name != NEVER_ENDED]
    for again in ([], [f"{name}.service" for name in TWICE if name in texts]):
        if again:
            host.manage("start", *again)
        until(lambda: set(shown(host, "SubState", *ending)) <= {"dead", "exited", "failed"}, "the services to end")
        until(lambda: set(shown(host, "Job", *ending)) <= {"0"}, "the jobs to end")


def shown(host: Systemd, name: str, *units: str) -> list[str]:
    """A property of each unit."""
    return host.manage("show", "--value", f"--property={name}", *units).split()


def run_there(is_user: bool, scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """Look on from outside, twice."""
    if not CAN_RUN:
        pytest.skip(NEEDS)
    with Systemd(folder, is_user) as host:
        play(host, {name: SERVICES[name] for name in scenarios.split()})
        for _ in range(2):
            host.observe(environment | {"PYTHONPATH": SOURCES})


def run_recorded(is_user: bool, scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """The same, as it was recorded, of one service."""
    found = programs(folder / "bin", entries(is_user, scenario), is_user)
    settings = environment | {"PATH": f"{found}{os.pathsep}{environment['PATH']}", "PYTHONPATH": SOURCES}
    for _ in range(2):
        done = rota("observe", "systemd", "--once", *(["--user"] if is_user else []), environment=settings)
        assert done.returncode == 0, done.stderr


def recorded(is_user: bool, name: str) -> str:
    """What was recorded: ``journal``, ``timers``, ``services``."""
    return (RECORDED / ("user" if is_user else "system") / name).read_text()


def entries(is_user: bool, *names: str) -> list[dict[str, Any]]:
    """The journal of these services, before the power cut; of all and with what came after it, if none is named."""
    found = [json.loads(line) for line in recorded(is_user, "journal").splitlines()]
    boot, unit = found[0]["_BOOT_ID"], "USER_UNIT" if is_user else "UNIT"
    wanted = {f"{name}.service" for name in names}
    return [each for each in found if not names or (each["_BOOT_ID"] == boot and each[unit] in wanted)]


def programs(folder: Path, told: list[dict[str, Any]], is_user: bool = False) -> Path:
    """A folder for PATH, with a journal of these entries, and timers of their units."""
    folder.mkdir(exist_ok=True)
    units = {each["USER_UNIT" if is_user else "UNIT"] for each in told}
    (folder / "journal").write_text("".join(json.dumps(each) + "\n" for each in told))
    for name, of in (("timers", "Unit="), ("services", "Id=")):
        blocks = recorded(is_user, name).strip().split("\n\n")
        kept = [each for each in blocks if any(f"{of}{unit}" in each.splitlines() for unit in units)]
        (folder / name).write_text("\n\n".join(kept))
    for name, text in (("journalctl", JOURNALCTL), ("systemctl", SYSTEMCTL)):
        (folder / name).write_text(text.format(python=sys.executable, folder=str(folder)))
        (folder / name).chmod(0o755)
    return folder


def record(is_user: bool, folder: Path) -> None:
    """All of the services, a power cut while one runs, and what the journal and the manager say."""
    folder.mkdir(parents=True, exist_ok=True)
    units = [f"{name}.service" for name in ("needed", *SERVICES, *MORE_SERVICES)]
    with tempfile.TemporaryDirectory() as name:
        with Systemd(Path(name), is_user) as host:
            play(host, SERVICES | MORE_SERVICES)
            (folder / "timers").write_text(host.manage(*timers.ARGUMENTS))
            (folder / "services").write_text(host.manage(*services.arguments(units)))
        with Systemd(Path(name), is_user) as host:
            play(host, {"success": SERVICES["success"]})
            said = host.run("journalctl", *host.manager, *journal.arguments(None, "-1d", is_user, host.user)).stdout
    unit = "USER_UNIT" if is_user else "UNIT"
    (folder / "journal").write_text("".join(line + "\n" for line in said.splitlines() if json.loads(line).get(unit) in units))


def _system(run: Callable[[bool, str, Path, dict[str, str]], None], is_user: bool, **more: Any) -> System:
    return System(
        functools.partial(run, is_user),
        except_for={"fan_out": "a service is one command after another; a template's instances are workflows each"},
        instead={  # a service has no tasks
            "success": {"tasks": {}},
            "failure": {"tasks": {}, "error": {}},
            "retry": {"run": ["running", "failed", "succeeded"], "tasks": {}, "attempts": {}},  # attempts of the run
            "skip": {"tasks": {}},
            "upstream": {"run": ["upstream_failed"], "tasks": {}},  # of a unit that another one requires
            "schedule": {"declares": {"cron": "*-*-* 02:00:00", "tz": "Europe/Berlin"}},
        },
        tells_schedules=True,
        **more,
    )


SYSTEMS = {
    "systemd": _system(run_recorded, False),
    "systemd with --user": _system(run_recorded, True),
    "systemd with its host": _system(run_there, False, together=tuple(SERVICES), soak=tuple(SERVICES)),
    "systemd with its host, --user": _system(run_there, True, together=tuple(SERVICES), soak=tuple(SERVICES)),
}


if __name__ == "__main__":
    for whose in ("system", "user"):
        record(whose == "user", RECORDED / whose)
