"""Cron by its log: what Debian's cron wrote, in the files and the journal it goes to; and a daemon that logs beginnings only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment, until
from crons import BIN, CAN_RUN, NEEDS, Cron
from observed import schedules, seen
from servers import rota

from rota_integrations.cron import log, logged
from rota_integrations.cron.jobs import Jobs, Said, is_alive
from rota_integrations.cron.log import Entry, SyslogFile, SystemJournal

RECORDED = Path(__file__).parent / "recordings" / "cron"  # tests/crons.py's daemon, with -L 1 and -L 15
NOBODY = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
WEEK_SECONDS = 7 * 86_400.0


def of_jobs(path: Path, level: int) -> dict[str, list[tuple[str, int | None, str | None]]]:
    """(word, exit status, signal) of each state that a file tells, by the job's text."""
    found: dict[str, list[tuple[str, int | None, str | None]]] = {}

    def tell(said: Said) -> None:
        found.setdefault(f"{said.user}: {said.text}", []).append((said.word, said.exit_code, said.signal))

    still_open: dict[str, Any] = {}
    jobs = Jobs(still_open, level, tell)
    for entry in SyslogFile(str(path)).read({}, 100 * 365 * 86_400.0):
        jobs.take(entry)
    jobs.bury(time.time_ns())
    return found


def test_with_all_levels_each_end_is_known() -> None:
    """As the recorded daemon logged it; two minutes of each line."""
    fine = [("CMD", None, None), ("END", 0, None)]
    assert of_jobs(RECORDED / "15.syslog", 15) == {
        "root: echo boot": fine, "nobody: true": 2 * fine, "root: echo hello; sleep 2": 2 * fine,
        "root: exit 3": 2 * [("CMD", None, None), ("failed", 3, None)],
        "root: kill -9 $$": 2 * [("CMD", None, None), ("terminated", 137, "SIGKILL")],
        "root: echo 'a \"b\" [x] (y)' # c": 2 * fine,
    }  # fmt: skip


@pytest.mark.parametrize(("level", "end"), [(1, "gone"), (3, "gone"), (5, "END")])
def test_with_fewer_what_is_not_logged_is_not_known(level: int, end: str) -> None:
    """Unless failures are: then what is over without one went well."""
    told = of_jobs(RECORDED / "1.syslog", level)
    assert told["root: exit 3"] == 2 * [("CMD", None, None)] + 2 * [(end, None, None)]


def test_an_end_without_a_level_for_failures_may_be_one() -> None:
    """Cron logs END of both."""
    assert of_jobs(RECORDED / "15.syslog", 3)["nobody: true"][1] == ("END, failures not logged", None, None)


@pytest.mark.parametrize(
    ("date", "year"), [("Nov 27 04:00:01", 2026), ("Dec 31 23:59:59", 2025), ("Nov 28 03:00:00", 2026), ("Feb 29 00:00:00", 2024)]
)
def test_a_date_without_a_year_is_the_last_one(date: str, year: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or within a day, as clocks differ."""
    now = 2024 if year == 2024 else 2026
    monkeypatch.setattr(time, "time", lambda: time.mktime((now, 11, 27, 12, 0, 0, 0, 0, -1)))
    assert time.localtime(log._ns_of_date(date) / 1e9)[:1] == (year,)


def test_times_with_a_zone_are_exact() -> None:
    """As rsyslog writes them today."""
    entry = log._of_line("2026-11-27T05:00:01.250000+01:00 box CRON[7]: (root) CMD (true)")
    assert entry == Entry(1_795_752_001_250_000_000, "box", "CMD", 7, "root", "true")


def lines(*numbers: int) -> str:
    return "".join(f"{time.strftime('%b %d %H:%M:%S')} box CRON[{number}]: (root) CMD (job {number})\n" for number in numbers)


def read(file: SyslogFile, memory: dict[str, Any]) -> list[int | None]:
    """The jobs that begin."""
    return [entry.job for entry in file.read(memory, WEEK_SECONDS)]


def test_a_file_is_read_on_through_restarts_and_rotation(tmp_path: Path) -> None:
    """What was written into the old file before it was put away, half a line, and a file that was emptied, included."""
    path, memory = tmp_path / "syslog", dict[str, Any]()
    file = SyslogFile(str(path))
    path.write_text("Nov 27 04:00:00 box cron[1]: (CRON) INFO (pidfile fd = 3)\n" + lines(1, 2) + lines(3)[:-1])
    assert read(file, memory) == [1, 2]
    memory = json.loads(json.dumps(memory))
    with path.open("a") as old:
        old.write("\n" + lines(4))
        path.rename(tmp_path / "syslog.1")
        path.write_text(lines(5))
        old.write(lines(6))
    assert read(file, memory) == [3, 4, 6, 5]
    path.write_text("")
    assert read(file, memory) == []
    path.write_text(lines(7))
    assert read(file, memory) == [7]


def test_what_is_older_than_asked_is_left_out_at_the_first_look(tmp_path: Path) -> None:
    """A week of a log may be there."""
    (tmp_path / "syslog").write_text("2026-01-01T00:00:00+00:00 box CRON[1]: (root) CMD (old)\n" + lines(2))
    assert read(SyslogFile(str(tmp_path / "syslog")), {}) == [2]


JOURNALCTL = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in *after-cursor=c2*) exit 0;; esac
echo '{{"__CURSOR": "c1", "__REALTIME_TIMESTAMP": "1795752001000000", "_HOSTNAME": "box", "SYSLOG_PID": "7", "MESSAGE": "(root) CMD ([8] true)"}}'
echo '{{"__CURSOR": "c2", "__REALTIME_TIMESTAMP": "1795752002000000", "_HOSTNAME": "box", "SYSLOG_PID": "7", "MESSAGE": [255, 254]}}'
"""  # noqa: E501


def test_the_journal_is_read_from_where_the_last_look_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in of journalctl, as there is no journal without systemd."""
    (tmp_path / "journalctl").write_text(JOURNALCTL.format(folder=tmp_path))
    (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    memory: dict[str, Any] = {}
    assert list(SystemJournal().read(memory, 60.0)) == [Entry(1_795_752_001_000_000_000, "box", "CMD", 8, "root", "true")]
    assert list(SystemJournal().read(memory, 60.0)) == []
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert "--since=-60s" in first
    assert "SYSLOG_IDENTIFIER=CRON" in first
    assert "--after-cursor=c2" in second


def test_a_process_is_that_of_a_job_only_if_it_began_then() -> None:
    """Numbers of processes come again."""
    began_ns = time.time_ns() - int((time.monotonic() - _started_seconds()) * 1e9)
    assert is_alive(os.getpid(), began_ns)
    assert not is_alive(os.getpid(), began_ns - 60 * 10**9)
    assert not is_alive(2**22 + 1, began_ns)


def _started_seconds() -> float:
    """Of this process, by the clock of ``time.monotonic`` (seconds since the start of the machine, on Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cron]:
    """A daemon that is not started yet."""
    if not CAN_RUN:
        pytest.skip(NEEDS)
    found = Cron(tmp_path / "cron", {})
    yield found
    found.stop()


def test_a_zone_that_there_is_not_is_refused() -> None:
    """Nothing would be missed by it."""
    done = rota("observe", "cron", "--tz", "Europe/Berln", "--once", environment=clean_environment(**NOBODY))
    assert done.returncode == 2
    assert "there is no time zone 'Europe/Berln'" in done.stderr


def test_a_daemon_that_logs_beginnings_only_shows_what_runs_and_what_is_over(cron: Cron, tmp_path: Path) -> None:
    """And what should run; lines that rota sees by themselves are left out."""
    home = tmp_path / "home"
    environment = clean_environment(ROTA_HOME=str(home), **NOBODY)
    begun, quick = tmp_path / "begun", "true # rota: name=quick\tümlaut"
    cron.write(
        "crontabs/root", f"@reboot touch {begun}; exec sleep 3 # rota: name=slow", f"@reboot {quick}",
        "0 2 1 1 * true # rota: name=yearly", "@reboot true # rota: name=not.this", f"@reboot {BIN}/rota exec --name own -- true",
    )  # fmt: skip
    cron.write("cron.d/own", f"SHELL={BIN}/rota-sh", "0 3 1 1 * root true # rota: name=seen")
    cron.start(TZ="Europe/Berlin")
    until(begun.exists, "the jobs to begin")
    until(lambda: logged(quick) in cron.log.read_text(), "the log to say so")
    how = ("--leave-out", "not.*", "--loglevel", "1", "--tz", "Europe/Berlin")  # another test's daemon may be there too
    cron.observe(environment, *how)
    first = {run.workflow: (run.states, run.raw) for run in seen(home) if run.workflow != "own"}
    assert first == {"slow": (["running"], ["CMD"]), "quick": (["running"], ["CMD"])}
    until(lambda: len(cron.children) == 0, "the jobs to end")
    cron.observe(environment, *how)
    runs = {run.workflow: run.states for run in seen(home) if run.workflow != "own"}
    assert runs == {"slow": ["running", "ended"], "quick": ["running", "ended"]}
    assert {name: [(each["schedule"], each["tz"]) for each in told] for name, told in schedules(home).items()} == {
        "yearly": [("0 2 1 1 *", "Europe/Berlin")]
    }
