"""The observer of systemd: what it makes of all that a real one wrote, and that the real `journalctl` understands it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment
from docs_blocks import DOCS, blocks
from observed import seen
from observers.systemd import entries, programs, recorded
from orchestrators import SOURCES
from servers import rota

from rota.wire import names
from rota_integrations.systemd import Follower, journal, services, timers

BLOCK = "Unit={unit}\nId={unit}.timer\nTimersCalendar={{ OnCalendar=*-*-* 02:00:00 ; next_elapse=n/a }}\n"
TOLD = {  # by the services of observers/systemd.py: the words of their runs
    "success": ["activating", "success"],
    "failure": ["activating", "exit-code"],
    "retry": ["activating", "exit-code", "activating", "success"],
    "skip": ["activating", "exec-condition"],
    "upstream": ["dependency"],
    "cancel": ["activating", "terminated"],
    "killed": ["activating", "signal"],
    "schedule": ["activating", "success"],
    "asserted": ["assert"],
    "condition": ["condition"],
    "core_dump": ["activating", "core-dump"],
    "no_program": ["activating", "exit-code"],
    "notify": ["activating", "success"],
    "once": ["activating", "success", "condition"],
    "quiet": ["exit-code"],
    "remains": ["activating", "success"],
    "segfault": ["activating", "signal"],
    "simple": ["activating", "success", "activating", "success"],
    "simple_cancel": ["activating", "stopping", "stopped"],
    "terminated": ["activating", "terminated"],
    "timeout": ["activating", "timeout"],
    "watchdog": ["activating", "watchdog"],
    "powerless": ["activating"],
}
MANAGERS = pytest.mark.parametrize("is_user", [False, True], ids=["system", "user"])
NOW_NS = 1_795_000_000_000_000_000


def calendar(spec: str) -> str:
    return f"TimersCalendar={{ OnCalendar={spec} ; next_elapse=n/a }}"


def interval(spec: str) -> str:
    return f"TimersMonotonic={{ {spec} ; next_elapse=3h }}"


class Reader:
    """What several looks find, of all units or of some."""

    def __init__(self, is_user: bool = False, *units: str) -> None:
        self.known = services.services(recorded(is_user, "services"))
        self.known = {unit: each for unit, each in self.known.items() if not units or unit in units}
        self.memory: dict[str, Any] = {}
        self._is_user = is_user

    def look(self, told: list[dict[str, Any]]) -> list[journal.Said]:
        """New entries, and what the manager knows."""
        reader = journal.Journal(self.memory, self.known, self._is_user)
        lines = "".join(json.dumps(entry) + "\n" for entry in told)
        return [*reader.told(lines), *reader.silent(lambda ns: NOW_NS)]


def words(found: list[journal.Said], name: str) -> list[str]:
    return [said.word for said in found if said.unit == f"{name}.service"]


def boots(is_user: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The recorded entries before the power cut, and after it."""
    told = entries(is_user)
    first = [entry for entry in told if entry["_BOOT_ID"] == told[0]["_BOOT_ID"]]
    return first, told[len(first) :]


@MANAGERS
@pytest.mark.parametrize("name", TOLD)
def test_what_became_of_a_service(is_user: bool, name: str) -> None:
    """As the journal of a real systemd tells it, and the manager where the journal is silent."""
    assert words(Reader(is_user).look(boots(is_user)[0]), name) == TOLD[name]


@MANAGERS
def test_a_look_at_each_entry_finds_the_same(is_user: bool) -> None:
    """As one look at all of them, but for what the manager knows, which is of the end."""
    told, reader = boots(is_user)[0], Reader(is_user)
    one_by_one = Reader(is_user)
    one_by_one.known = {unit: each._replace(is_over=False) for unit, each in reader.known.items()}
    reader.known = one_by_one.known
    assert [said for entry in told for said in one_by_one.look([entry])] == reader.look(told)


@MANAGERS
def test_a_host_that_went_down_without_a_word(is_user: bool) -> None:
    """What ran then is over at the first word after it is up again."""
    before, after = boots(is_user)
    reader = Reader(is_user)
    reader.look(before)
    reader.known = {unit: services.Service(is_oneshot=True) for unit in reader.known}
    assert [(said.unit, said.word) for said in reader.look(after)] == [
        ("powerless.service", "vanished"), ("success.service", "activating"), ("success.service", "success"),
    ]  # fmt: skip


def test_an_end_that_only_the_manager_tells() -> None:
    """A user's service that ended well: with its exit status, and at the time at which its process ended."""
    (end,) = Reader(True, "notify.service").look(boots(True)[0])[1:]
    assert (end.word, end.exit_code, end.at_ns) == ("success", 0, NOW_NS)


def test_an_end_between_two_looks_of_which_nobody_told() -> None:
    """A user's ended well, as anything else is told; how the system's ended is not known, and said so."""
    for is_user, word in ((True, "success"), (False, "unseen")):
        told = [entry for entry in entries(is_user, "simple") if entry["MESSAGE_ID"] == journal.STARTED]
        reader = Reader(is_user)
        reader.known = {"simple.service": services.Service()}
        assert words(reader.look(told), "simple") == ["activating", word, "activating"]


def test_a_look_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """Across restarts of the observer: nothing is told twice, also of a run that was open between them."""
    all_of_it = entries(False, "success")
    home, found = tmp_path / "home", programs(tmp_path / "bin", all_of_it[:1])
    settings = {"PATH": f"{found}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": SOURCES, "ROTA_HOME": str(home)}
    environment = clean_environment(**settings, ROTA_AGENT="off", ROTA_DETACH="off", ROTA_ENDPOINT="http://127.0.0.1:1")
    for told in (all_of_it[:1], all_of_it, all_of_it):
        programs(tmp_path / "bin", told)
        assert rota("observe", "systemd", "--once", environment=environment).returncode == 0
    (run,) = seen(home)
    assert (run.workflow, run.states, run.raw) == ("success", ["running", "succeeded"], ["activating", "success"])


def test_what_journalctl_says_is_wrong_is_said(tmp_path: Path) -> None:
    """Once, on standard error, with exit status 1; nothing is remembered of that look."""
    found = programs(tmp_path / "bin", [])
    (found / "journalctl").write_text("#!/bin/sh\necho 'No journal files were opened' >&2\nexit 1\n")
    environment = clean_environment(PATH=f"{found}:/usr/bin:/bin", PYTHONPATH=SOURCES, ROTA_HOME=str(tmp_path / "home"))
    done = rota("observe", "systemd", "--once", environment=environment)
    assert done.returncode == 1
    assert "journalctl exits with 1: No journal files were opened" in done.stderr


def test_a_service_that_no_timer_starts_is_left_alone() -> None:
    """A host has hundreds of them."""
    assert Reader(False, "success.service").look(entries(False, "needed", "failure")) == []


def test_a_start_that_nobody_saw() -> None:
    """An end alone tells of a run, whose start is not known."""
    _, *later = entries(False, "success")
    (said,) = Reader().look(later)
    assert (said.word, said.key, said.started_ns) == ("success", (later[0]["INVOCATION_ID"],), None)


def test_a_look_of_an_older_version_is_gone_on_with() -> None:
    """Its memory has no jobs."""
    reader, (starting, *later) = Reader(), entries(False, "success")
    reader.known = {"success.service": services.Service(is_oneshot=True)}
    reader.look([starting])
    for run in reader.memory["runs"].values():
        del run["job"], run["host"]
    assert words(reader.look(later), "success") == ["success"]


def test_a_result_that_nobody_knows_is_kept() -> None:
    """As it is, and the run is over."""
    state = Follower()._states.of_run("sleepy", is_over=True)
    assert state == ("ended", "unknown state sleepy", "sleepy")


@pytest.mark.parametrize(
    ("timer", "spec", "tz", "grace"),
    [
        ([calendar("Mon..Fri *-*-* 02:00:00")], "Mon..Fri *-*-* 02:00:00", "Asia/Tokyo", None),
        ([calendar("*-*-* 02:00:00 UTC")], "*-*-* 02:00:00", "UTC", None),
        ([calendar("*-*-* 06:00:00"), "RandomizedDelayUSec=12h", "AccuracyUSec=1min"], "*-*-* 06:00:00", "Asia/Tokyo", "43260s"),
        ([calendar("*-*-* 01:00:00"), calendar("*-*-01 05:00:00")], "*-*-* 01:00:00; *-*-01 05:00:00", "Asia/Tokyo", None),
        ([interval("OnUnitActiveUSec=1h 30min"), interval("OnBootUSec=15min")], "every 5400s", None, None),
        ([interval("OnBootUSec=15min")], None, None, None),
    ],
)
def test_a_timer_is_a_schedule(timer: list[str], spec: str | None, tz: str | None, grace: str | None) -> None:
    """Calendars and intervals; the host's zone unless they name one; a delay by chance is grace. A boot is no schedule."""
    shown = BLOCK.format(unit="other.service") + "\n".join(["", "Unit=backup.service", "Id=backup.timer", *timer, ""])
    found = timers.declared(shown, "Asia/Tokyo")["backup.service"]
    assert [found.get(name) for name in (names.SCHEDULE_SPEC, names.SCHEDULE_TZ, names.SCHEDULE_GRACE)] == [spec, tz, grace]


@pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl")
@pytest.mark.parametrize(
    "cursor", [None, "s=8dd1e0a5a2c04f0aa5ea0ad11c2b6f01;i=1;b=8dd1e0a5a2c04f0aa5ea0ad11c2b6f02;m=1;t=5f0;x=1"]
)
def test_the_real_journalctl_takes_the_question(cursor: str | None, tmp_path: Path) -> None:
    """All of its options, on a journal without entries."""
    command = ["journalctl", f"--directory={tmp_path}", *journal.arguments(cursor, "-1d", False, 0)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_units_of_the_page_are_units(tmp_path: Path) -> None:
    """systemd-analyze verify finds nothing to say about them."""
    found = [block for block in blocks(DOCS / "integrations" / "systemd.md") if block.title.endswith(".service")]
    assert found
    for block in found:
        (tmp_path / block.title).write_text(block.body.replace("/opt/rota/bin/rota", shutil.which("true") or ""))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / block.title) for block in found)]
    environment = {"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(tmp_path) in line]) == (0, []), done.stderr
