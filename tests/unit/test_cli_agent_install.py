"""`rota agent install` and `uninstall`, with a supervisor that only notes what it was asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rota.cli import _agent_install, _services, main
from rota.cli._agent_install import service
from rota.cli._services import InstallError

NOTING = '#!/bin/sh\necho "$@" >> "$CALLS"\nif [ "$1 $2" = "$FAILS" ]; then echo no bus; exit 5; fi\n'


class Machine:
    """A machine that systemd started, as far as `rota` can see."""

    def __init__(self, path: Path) -> None:
        self.unit = path / "config" / "systemd" / "user" / "rota-agent.service"
        self._calls = path / "calls"

    def calls(self) -> list[str]:
        """What systemctl was asked since."""
        found = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return found


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    """With a systemctl of our own first on PATH."""
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(NOTING)
    systemctl.chmod(0o755)
    for name in ("ROTA_TOKEN", "ROTA_TOKEN_FILE", "ROTA_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAILS", "none")
    monkeypatch.setattr(_services, "RUNNING_SYSTEMD", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    return Machine(tmp_path)


def test_an_agent_is_installed_started_and_removed(machine, capsys):
    """The unit is written, loaded, enabled and started; uninstall undoes all of it."""
    assert main(["agent", "install", "--user"]) == 0
    assert "-m" in machine.unit.read_text()
    assert machine.calls() == ["--user daemon-reload", "--user enable rota-agent.service", "--user restart rota-agent.service"]
    assert "enable-linger" in capsys.readouterr().out
    assert main(["agent", "uninstall", "--user"]) == 0
    assert machine.calls() == ["--user disable --now rota-agent.service", "--user daemon-reload"]
    assert not machine.unit.exists()


def test_settings_go_along_and_secrets_do_not(machine, monkeypatch, capsys):
    """Everybody can read a unit: a key is not put there, and it is said where it belongs."""
    monkeypatch.setenv("ROTA_ENDPOINT", "https://rota.example.com")
    monkeypatch.setenv("ROTA_TOKEN", "s3cret")
    monkeypatch.setenv("TRACEPARENT", "00-1-2-01")
    assert main(["agent", "install", "--user"]) == 0
    text = machine.unit.read_text()
    assert 'Environment="ROTA_ENDPOINT=https://rota.example.com"' in text
    assert "s3cret" not in text
    assert "TRACEPARENT" not in text
    assert "ROTA_TOKEN is secret" in capsys.readouterr().out


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROTA_TOKEN", "s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
        ("ROTA_ENDPOINT", "https://me:s3cret@rota.example.com"),
    ],
)
def test_no_secret_is_in_what_everybody_can_read(platform, name, value):
    """Neither in systemd's unit nor in launchd's property list, whichever setting it is in."""
    for is_system in (True, False):
        text = service(is_system, platform, {name: value, "ROTA_HTTP": "127.0.0.1:1"}).text
        assert ("s3cret" in text, "127.0.0.1:1" in text) == (False, True)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_file_of_a_key_is_named(platform, tmp_path, monkeypatch):
    """Its path is no secret, and is whole: a service works in another directory."""
    monkeypatch.chdir(tmp_path)
    text = service(False, platform, {"ROTA_TOKEN_FILE": "key", "ROTA_HOME": "home"}).text
    assert (str(tmp_path / "key") in text, str(tmp_path / "home") in text) == (True, True)


def test_a_key_that_others_can_read_is_told(machine, monkeypatch, tmp_path, capsys):
    """And how to change that; a file of one's own is not spoken of."""
    key = tmp_path / "key"
    key.write_text("s3cret")
    monkeypatch.setenv("ROTA_TOKEN_FILE", str(key))
    for mode, is_told in ((0o644, True), (0o600, False)):
        key.chmod(mode)
        assert main(["agent", "install", "--user"]) == 0
        assert (f"chmod 600 {key}" in capsys.readouterr().out) == is_told


def test_print_writes_nothing(machine, capsys):
    """Only the unit is shown, whoever supervises here."""
    assert main(["agent", "install", "--user", "--print"]) == 0
    assert capsys.readouterr().out.startswith("# Written by `rota agent install`")
    assert not machine.unit.exists()
    assert machine.calls() == []


def test_a_command_that_fails_is_named_with_its_words(machine, monkeypatch, capsys):
    """Which one, how, and what it said."""
    monkeypatch.setenv("FAILS", "--user daemon-reload")
    assert main(["agent", "install", "--user"]) == 1
    assert "`systemctl --user daemon-reload` failed with 5: no bus" in capsys.readouterr().err


def test_a_machine_without_a_supervisor_is_told_what_to_do(machine, monkeypatch, capsys):
    """Nothing is written there."""
    monkeypatch.setattr(_services, "RUNNING_SYSTEMD", "/none")
    assert main(["agent", "install", "--user"]) == 1
    assert "rota agent install --print" in capsys.readouterr().err
    assert not machine.unit.exists()


def test_what_is_not_installed_cannot_be_uninstalled(machine, capsys):
    """The error names the file that is not there."""
    assert main(["agent", "uninstall", "--user"]) == 1
    assert str(machine.unit) in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(machine):
    """With what to do about it."""
    machine.unit.parent.parent.parent.write_text("a file")
    with pytest.raises(InstallError, match="--user"):
        _agent_install.install(is_system=False)


@pytest.mark.parametrize(("is_system", "folder"), [(True, "/Library/LaunchDaemons"), (False, "Library/LaunchAgents")])
def test_on_a_mac_launchd_has_it(is_system, folder):
    """A property list in launchd's folder, loaded into the domain of the machine or of the user."""
    made = service(is_system, "darwin", {})
    domain = "system" if is_system else f"gui/{os.getuid()}"
    assert made.path.endswith(f"{folder}/rota.agent.plist")
    assert made.start == (("launchctl", "bootstrap", domain, made.path),)
    assert made.stop == (("launchctl", "bootout", f"{domain}/rota.agent"),)


def test_the_machines_unit_is_where_an_administrator_looks():
    """In /etc, loaded by the machine's systemd."""
    made = service(True, "linux", {})
    assert made.path == "/etc/systemd/system/rota-agent.service"
    assert made.start[0] == ("systemctl", "daemon-reload")
    assert '"agent" "--all-users"' in made.text
