"""What supervisors are told about the agent."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys

import pytest

from rota.agent.unit import launchd_plist, systemd_unit

COMMAND = [sys.executable, "-m", "rota", "agent"]
ODD = {"ROTA_HOME": '/srv/100% "mine"\\x $HOME'}


def lines(is_system: bool, environment: dict[str, str] | None = None) -> list[str]:
    """Of a unit."""
    return systemd_unit(COMMAND, environment or {}, is_system).splitlines()


def test_it_comes_back_however_it_ended():
    """After a kill -9, and however often."""
    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(lines(True))


def test_the_machines_agent_listens_where_scripts_look_first():
    """In a directory that systemd makes and removes, and that everybody may enter."""
    assert {"RuntimeDirectory=rota", 'Environment="ROTA_AGENT=/run/rota/agent.sock"'} <= set(lines(True))
    assert "WantedBy=multi-user.target" in lines(True)


def test_a_users_agent_asks_for_nothing_that_needs_root():
    """Its socket is in its home, and its unit has no option that a user's systemd cannot give."""
    text = "\n".join(lines(False))
    assert "WantedBy=default.target" in text
    for word in ("ROTA_AGENT", "RuntimeDirectory", "Capability", "ProtectSystem", "PrivateDevices"):
        assert word not in text


def test_odd_settings_stay_what_they_are():
    """Percent signs, quotes and backslashes mean something to systemd."""
    assert 'Environment="ROTA_HOME=/srv/100%% \\"mine\\"\\\\x $HOME"' in lines(False, ODD)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("is_system", [True, False])
def test_systemd_understands_every_line(tmp_path, is_system):
    """It has no word of complaint about the unit."""
    unit = tmp_path / "rota-agent.service"
    unit.write_text(systemd_unit(COMMAND, ODD, is_system))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if "rota-agent" in line] == []


def test_launchd_starts_it_and_keeps_it():
    """A property list with the command, its settings, and where its words go."""
    told = plistlib.loads(launchd_plist(COMMAND, ODD, "/tmp/log").encode())
    assert (told["ProgramArguments"], told["EnvironmentVariables"], told["KeepAlive"]) == (COMMAND, ODD, True)
    assert told["StandardErrorPath"] == "/tmp/log"
