"""The observer of systemd: what it does with a journal that is difficult, and that the real `journalctl` understands it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment
from docs_blocks import DOCS, blocks
from observed import seen
from observers.systemd import (
    ENTRIES,
    FIRST,
    SECOND,
    SHOWN,
    STARTING,
    SUCCESS,
    again,
    exited,
    failure,
    lines,
    programs,
)
from orchestrators import SOURCES
from servers import rota

from rota.wire import names
from rota_integrations.systemd import Follower, journal, timers

UNIT = "backup.service"


def calendar(spec: str) -> str:
    return f"TimersCalendar={{ OnCalendar={spec} ; next_elapse=n/a }}"


def interval(spec: str) -> str:
    return f"TimersMonotonic={{ {spec} ; next_elapse=3h }}"


def told(text: str, memory: dict[str, Any] | None = None) -> list[tuple[str, int]]:
    """Words and attempts of the runs in a journal."""
    reader = journal.Journal({} if memory is None else memory, {UNIT: {}})
    return [(said.word, said.attempt) for said in reader.told(text)]


def test_a_look_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """Across restarts of the observer: nothing is told twice, also of a run that was open between them."""
    home, found = tmp_path / "home", programs(tmp_path / "bin", UNIT, ENTRIES["success"][:1])
    settings = {"PATH": f"{found}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": SOURCES, "ROTA_HOME": str(home)}
    environment = clean_environment(**settings, ROTA_AGENT="off", ROTA_DETACH="off", ROTA_ENDPOINT="http://127.0.0.1:1")
    for entries in (ENTRIES["success"][:1], ENTRIES["success"], ENTRIES["success"]):
        programs(tmp_path / "bin", UNIT, entries)
        assert rota("observe", "systemd", "--once", environment=environment).returncode == 0
    (run,) = seen(home)
    assert (run.workflow, run.states, run.raw) == ("backup", ["running", "succeeded"], ["activating", "success"])


def test_what_journalctl_says_is_wrong_is_said(tmp_path: Path) -> None:
    """Once, on standard error, with exit status 1; nothing is remembered of that look."""
    found = programs(tmp_path / "bin", UNIT, [])
    (found / "journalctl").write_text("#!/bin/sh\necho 'No journal files were opened' >&2\nexit 1\n")
    environment = clean_environment(PATH=f"{found}:/usr/bin:/bin", PYTHONPATH=SOURCES, ROTA_HOME=str(tmp_path / "home"))
    done = rota("observe", "systemd", "--once", environment=environment)
    assert done.returncode == 1
    assert "journalctl exits with 1: No journal files were opened" in done.stderr


def test_a_service_that_no_timer_starts_is_left_alone() -> None:
    """A host has hundreds of them."""
    assert told(lines("sshd.service", ENTRIES["success"])) == []


def test_a_host_that_went_down_without_a_word() -> None:
    """What ran then is over at the first word after it is up again."""
    memory: dict[str, Any] = {}
    assert told(lines(UNIT, [STARTING]), memory) == [("activating", 1)]
    assert told(lines("cups.service", [STARTING], boot="11d9dd6bd9f24fc0a9d84b9a3b0c1d21"), memory) == [("vanished", 1)]
    assert told(lines(UNIT, [again(STARTING)], boot="11d9dd6bd9f24fc0a9d84b9a3b0c1d21"), memory) == [("activating", 1)]


def test_a_start_that_nobody_saw() -> None:
    """An end alone tells of a run, whose start is not known."""
    (said,) = journal.Journal({}, {UNIT: {}}).told(lines(UNIT, [SUCCESS]))
    assert (said.word, said.key, said.started_ns) == ("success", (FIRST,), None)


@pytest.mark.parametrize(
    ("ended", "result", "word"),
    [
        (exited("killed", 15), "timeout", "timeout"),
        (exited("killed", 15), "signal", "terminated"),
        (exited("killed", 11), "signal", "signal"),
        (exited("dumped", 6), "core-dump", "core-dump"),
        (exited("killed", 9), "oom-kill", "oom-kill"),
    ],
)
def test_who_ended_it(ended: dict[str, str], result: str, word: str) -> None:
    """systemd's own result counts; a signal that asks is a cancellation, any other a crash."""
    assert told(lines(UNIT, [STARTING, ended, failure(result)])) == [("activating", 1), (word, 1)]


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
    shown = SHOWN.format(unit="other.service") + "\n".join(["", f"Unit={UNIT}", "Id=backup.timer", *timer, ""])
    found = timers.declared(shown, "Asia/Tokyo")[UNIT]
    assert [found.get(name) for name in (names.SCHEDULE_SPEC, names.SCHEDULE_TZ, names.SCHEDULE_GRACE)] == [spec, tz, grace]


@pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl")
@pytest.mark.parametrize("cursor", [None, f"s={FIRST};i=1;b={SECOND};m=1;t=5f0;x=1"])
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
