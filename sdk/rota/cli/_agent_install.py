"""``rota agent install`` and ``uninstall``: the agent as a service of systemd or launchd."""

from __future__ import annotations

import os
import sys

from rota import _config
from rota.agent import unit
from rota.cli import _parts, _services
from rota.cli._services import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_PATHS = ("ROTA_HOME", "ROTA_TOKEN_FILE")  # and names that end in these:
_PATH_ENDINGS = ("_CERTIFICATE", "_CLIENT_KEY")


def service(is_system: bool, platform: str, environment: Mapping[str, str]) -> Service:
    """What to write and run on this kind of machine."""
    command = [os.path.abspath(word) if index == 0 else word for index, word in enumerate(_parts.command("agent"))]
    plain = plain_settings(environment)
    return _launchd(command, plain, is_system) if platform == "darwin" else _systemd(command, plain, is_system)


def plain_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in force that are no secrets, paths as they are from here; not where the agent of this shell listens."""
    given = {setting.name: environment.get(setting.name, "") for setting in _config.SETTINGS}
    return {
        name: os.path.abspath(value) if name in _PATHS or name.endswith(_PATH_ENDINGS) else value
        for name, value in given.items()
        if value and name not in ("ROTA_AGENT", "TRACEPARENT") and not _is_secret(name, value)
    }


def _is_secret(name: str, value: str) -> bool:
    """A key, headers that may hold one, or an address with a password in it."""
    return name == "ROTA_TOKEN" or name.endswith("_HEADERS") or ("://" in value and "@" in value)


def install(is_system: bool) -> int:
    """Have the agent started now and at every start of the machine (or session). Raises InstallError."""
    _services.install(service(is_system, sys.platform, os.environ))
    _advise(is_system)
    return 0


def uninstall(is_system: bool) -> int:
    """Stop the agent for good and remove its file. What its spool holds stays. Raises InstallError."""
    made = service(is_system, sys.platform, os.environ)
    _services.uninstall(made)
    print("the agent is stopped, and %s removed. Scripts send their facts themselves now" % made.path)
    return 0


def show(is_system: bool) -> int:
    """Print the file that ``install`` would write."""
    print(service(is_system, sys.platform, os.environ).text, end="")
    return 0


def _systemd(command: list[str], plain: dict[str, str], is_system: bool) -> Service:
    text = unit.systemd_unit([*command, *(["--all-users"] if is_system else [])], plain, is_system)
    return _services.systemd("agent", text, is_system)


def _launchd(command: list[str], plain: dict[str, str], is_system: bool) -> Service:
    log = os.path.join(_services.launchd_library(is_system), "Logs", "rota-agent.log")
    return _services.launchd("agent", unit.launchd_plist(command, plain, log), is_system)


def _advise(is_system: bool) -> None:
    """What else a person should know."""
    names = [setting.name for setting in _config.SETTINGS if os.environ.get(setting.name)]
    given = [name for name in names if _is_secret(name, os.environ[name])]
    secrets = unit.secrets_file(is_system).replace("%h", os.path.expanduser("~"))
    said = " and ".join(given)
    if given and sys.platform == "darwin":
        print("%s is secret and not in that file: put the key into one of mode 600, and install with ROTA_TOKEN_FILE" % said)
    elif given:
        print("%s is secret and not in that file: write it into %s (mode 600), then restart" % (said, secrets))
    for path in filter(_is_open, (os.environ.get("ROTA_TOKEN_FILE", ""), secrets)):
        print("others can read %s: chmod 600 %s" % (path, path))
    if not is_system and sys.platform != "darwin":
        print("to keep it running while you are not logged in: loginctl enable-linger")


def _is_open(path: str) -> bool:
    """Whether anybody but its owner may read that file."""
    try:
        return bool(path and os.stat(path).st_mode & 0o077)
    except OSError:
        return False
