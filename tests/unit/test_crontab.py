"""What a crontab says of when a command runs."""

from __future__ import annotations

import os

import pytest

from rota.exec import crontab

USERS = """\
# m h dom mon dow command
SHELL=/opt/rota/bin/rota-sh
MAILTO = "ops@example.org"
0 2 * * *\t/opt/etl/nightly.sh --full
  */10 9-17 * * mon-fri  cd /opt/etl && ./load.sh # rota: name=etl.load
@daily echo 100\\% done%first line of its input
CRON_TZ=Asia/Tokyo
30 4 1 * * /opt/monthly.sh
@reboot /opt/boot.sh
0 1 * * * /opt/twice.sh
0 3 * * * /opt/twice.sh
0 1 * * * /opt/half.sh a
30 1 * * * /opt/half.sh b
*/5 * * * * /opt/same.sh a
*/5 * * * * /opt/same.sh b
0~59 * * * * /opt/sometime.sh
"""


def found(command: str, workflow: str) -> tuple[str, str] | None:
    line = crontab.schedule_of(command, workflow, list(crontab.read(USERS, "u")))
    return (line.schedule, line.zone) if line else None


@pytest.mark.parametrize(
    ("command", "workflow", "schedule"),
    [
        ("/opt/etl/nightly.sh --full", "nightly", ("0 2 * * *", "")),
        ("cd /opt/etl && ./load.sh # rota: name=etl.load", "etl.load", ("*/10 9-17 * * mon-fri", "")),
        ("echo 100% done", "echo", ("@daily", "")),
        ("/opt/monthly.sh", "monthly", ("30 4 1 * *", "Asia/Tokyo")),
        ("/opt/same.sh b", "same", ("*/5 * * * *", "Asia/Tokyo")),
    ],
)
def test_a_command_has_the_schedule_of_its_line(command: str, workflow: str, schedule: tuple[str, str]) -> None:
    """As cron gives it to the shell: without what stands before it, and without its input."""
    assert found(command, workflow) == schedule


@pytest.mark.parametrize(
    ("command", "workflow"),
    [
        ("/opt/boot.sh", "boot"),
        ("/opt/twice.sh", "twice"),
        ("/opt/half.sh a", "half"),
        ("/opt/sometime.sh", "sometime"),
        ("/opt/other.sh", "other"),
    ],
)
def test_nothing_is_said_where_it_is_not_certain(command: str, workflow: str) -> None:
    """Two lines of one name with two times, a reboot, a time that cron draws, a command that is in no crontab."""
    assert found(command, workflow) is None


def test_a_system_s_crontab_names_the_user() -> None:
    """Between the times and the command."""
    text = "17 * * * *\troot    cd / && run-parts --report /etc/cron.hourly\n@weekly www-data /opt/tidy.sh\nshort line\n"
    told = [(line.schedule, line.user, line.command) for line in crontab.read(text)]
    assert told == [
        ("17 * * * *", "root", "cd / && run-parts --report /etc/cron.hourly"),
        ("@weekly", "www-data", "/opt/tidy.sh"),
    ]


def test_only_a_child_of_cron_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that something else gives to rota-sh has no schedule, though it stands in a crontab."""
    monkeypatch.setenv("LOGNAME", "u")
    monkeypatch.setattr(crontab, "lines_of", lambda user: list(crontab.read(USERS, user)))
    assert crontab.declared("/opt/monthly.sh", "monthly") == {}
    monkeypatch.setattr(crontab, "_is_cron", lambda process: True)
    assert crontab.declared("/opt/monthly.sh", "monthly") == {
        "rota.schedule.spec": "30 4 1 * *",
        "rota.schedule.tz": "Asia/Tokyo",
    }


def test_the_zone_is_that_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own TZ, or the host's; one that has no name is not guessed."""
    monkeypatch.setattr(crontab, "_bytes", lambda path: b"A=1\0TZ=:Europe/Berlin\0" if "environ" in path else b"")
    assert crontab.zone(1) == "Europe/Berlin"
    monkeypatch.setattr(crontab, "_bytes", lambda path: b"")
    monkeypatch.setattr(os, "readlink", lambda path: "/usr/share/zoneinfo/America/New_York")
    assert crontab.zone(1) == "America/New_York"

    def is_a_file(path: str) -> str:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "readlink", is_a_file)
    assert crontab.zone(1) is None
