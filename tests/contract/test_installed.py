"""`rota collector install` and `rota agent install` under a systemd that runs, the system's and a user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from collectors import clean_environment, until
from systemds import CAN_RUN, NEEDS, Systemd

JOB = "import rota; rota.watch('nightly')"
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"

pytestmark = [pytest.mark.soak, pytest.mark.skipif(not CAN_RUN, reason=NEEDS)]


def on(host: Systemd, *command: str) -> str:
    """What it prints there; it succeeds."""
    done = host.run(*command, environment=clean_environment(PATH=PATH))
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(host: Systemd, name: str) -> str:
    """A property of the collector's service."""
    return host.manage("show", "--value", f"--property={name}", "rota-collector.service").strip()


@pytest.mark.parametrize("is_user", [False, True], ids=["system", "user"])
def test_a_service_of_this_host(is_user: bool, tmp_path: Path) -> None:
    """It is ready when `install` returns; killed, it is started again with what it had; uninstalled, nothing is left running."""
    with Systemd(tmp_path, is_user) as host:
        host.within("chmod", "755", "/root")  # where the interpreter of these tests may be
        on(host, "rota", "collector", "install")
        on(host, "rota", "agent", "install")
        assert shown(host, "ActiveState") == "active"
        assert shown(host, "StatusText").startswith("listening on http://")
        on(host, "python", "-c", JOB)
        until(lambda: "succeeded" in on(host, "rota", "runs"), "the run")
        assert "process" in on(host, "rota", "agent", "status")

        first = shown(host, "MainPID")
        on(host, "kill", "-9", first)
        until(lambda: shown(host, "ActiveState") == "active" and shown(host, "MainPID") not in (first, "0"), "another life")
        assert "nightly" in on(host, "rota", "runs")

        for part in ("collector", "agent"):
            on(host, "rota", part, "uninstall")
        assert "rota" not in host.manage("list-units", "--all", "--plain", "--no-legend", "rota*")


def test_a_collector_that_hangs_is_started_again(tmp_path: Path) -> None:
    """Without a sign of life within `WatchdogSec=`, of three seconds here."""
    with Systemd(tmp_path) as host:
        on(host, "rota", "collector", "install")
        host.unit("rota-collector.service.d/soon.conf", "[Service]\nWatchdogSec=3\n")
        host.manage("daemon-reload")
        host.manage("restart", "rota-collector.service")
        first = shown(host, "MainPID")
        on(host, "kill", "-STOP", first)
        until(lambda: shown(host, "NRestarts") == "1" and shown(host, "ActiveState") == "active", "another life")
