"""`rota collector install` and `uninstall`, with a supervisor that only notes what it was asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rota.cli import _services, main
from rota.cli._collector_install import plain_settings, service

NOTING = '#!/bin/sh\necho "$@" >> "$CALLS"\n'


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A machine that systemd started, with a systemctl of our own first on PATH."""
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(NOTING)
    systemctl.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("ROTA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(_services, "RUNNING_SYSTEMD", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path


def test_a_collector_is_installed_started_and_removed(machine, capsys):
    """Its home is made, its unit written, loaded, enabled and started; uninstall undoes all but the home."""
    unit = machine / "config" / "systemd" / "user" / "rota-collector.service"
    assert main(["collector", "install", "--user"]) == 0
    assert f'Environment="ROTA_HOME={machine / "home"}"' in unit.read_text()
    assert (machine / "home").stat().st_mode & 0o777 == 0o700
    asked = (machine / "calls").read_text().splitlines()
    assert asked == ["--user daemon-reload", "--user enable rota-collector.service", "--user restart rota-collector.service"]
    assert main(["collector", "uninstall", "--user"]) == 0
    assert str(machine / "home") in capsys.readouterr().out
    assert (unit.exists(), (machine / "home").exists()) == (False, True)


@pytest.mark.parametrize(
    ("memory", "limit"), [("", "1G"), ("4GB", "4G"), ("1500 mb", "1500M"), ("900000 kB", "900000K"), ("900000000", "900000000")]
)
def test_the_unit_has_the_memory_that_the_collector_may_take(memory, limit):
    """In systemd's spelling."""
    assert f"\nMemoryMax={limit}\n" in service(True, "linux", {"ROTA_MEMORY": memory}).text


def test_settings_of_the_collector_go_along_and_nothing_else():
    """Not those of the jobs of this shell, no secret, and paths as they are from here."""
    given = {
        "ROTA_HTTP": "127.0.0.1:1", "ROTA_LOG": "json", "ROTA_TLS_KEY": "tls.pem", "ROTA_TOKEN": "s3cret", "ROTA_WORKFLOW": "w",
        "ROTA_CONTROL": "postgresql://me:s3cret@db/rota", "ROTA_AGENT": "off", "HOME": "/home/me",
    }  # fmt: skip
    kept = {
        "ROTA_HOME": "/var/lib/rota",
        "ROTA_HTTP": "127.0.0.1:1",
        "ROTA_LOG": "json",
        "ROTA_TLS_KEY": os.path.abspath("tls.pem"),
    }
    assert plain_settings(given, is_system=True) == kept


@pytest.mark.parametrize("user", ["", "rota"])
def test_the_machines_unit_leaves_it_nothing_but_its_home(user: str):
    """No power of root's, a file system to read only but for the home, and the rights of the user that was named."""
    text = service(True, "linux", {"ROTA_HOME": "/srv/ro ta"}, user).text
    lines = text.splitlines()
    assert {"CapabilityBoundingSet=", "ProtectSystem=strict", 'ReadWritePaths="/srv/ro ta"', "MemoryMax=1G"} <= set(lines)
    assert [line for line in lines if line.startswith("User=")] == ([f"User={user}"] if user else [])


def test_systemd_waits_until_it_is_ready_and_watches_it():
    """What the collector tells (sd_notify) is asked for, from the first process alone."""
    lines = service(False, "linux", {}).text.splitlines()
    assert {"Type=notify", "NotifyAccess=main", "WatchdogSec=60", "Restart=always"} <= set(lines)


@pytest.mark.parametrize("is_system", [True, False])
def test_systemd_finds_no_fault_with_the_unit(is_system: bool, tmp_path: Path):
    """`systemd-analyze verify` says nothing."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "rota-collector.service"
    unit.write_text(service(is_system, "linux", {"ROTA_HOME": str(tmp_path)}).text)
    command = ["systemd-analyze", "verify", "--man=no", *([] if is_system else ["--user"]), str(unit)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "rota-collector" in line]) == (0, [])


@pytest.mark.parametrize(("is_system", "folder"), [(True, "/Library/LaunchDaemons"), (False, "Library/LaunchAgents")])
def test_on_a_mac_launchd_has_it(is_system, folder):
    """A property list of its own in launchd's folder."""
    made = service(is_system, "darwin", {"ROTA_HOME": "/h"})
    assert made.path.endswith(f"{folder}/rota.collector.plist")
    assert "<string>rota.collector</string>" in made.text
    assert "rota-collector.log" in made.text


def test_a_machine_without_a_supervisor_is_told_what_to_do(machine, monkeypatch, capsys):
    """Nothing is made there."""
    monkeypatch.setattr(_services, "RUNNING_SYSTEMD", "/none")
    assert main(["collector", "install", "--user"]) == 1
    assert "rota collector install --print" in capsys.readouterr().err
    assert not (machine / "home").exists()


def test_a_home_that_cannot_be_made_is_named(machine, monkeypatch, capsys):
    """With what to do about it; no unit is left behind."""
    (machine / "file").write_text("")
    monkeypatch.setenv("ROTA_HOME", str(machine / "file" / "home"))
    assert main(["collector", "install", "--user"]) == 1
    assert str(machine / "file" / "home") in capsys.readouterr().err
    assert not (machine / "config").exists()
