"""``rota agent install`` and ``uninstall``: the agent as a service of systemd or launchd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

from rota import _config
from rota.agent import unit
from rota.cli import _parts
from rota.errors import RotaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_RUNNING_SYSTEMD = "/run/systemd/system"  # exists when systemd is what started this machine (sd_booted(3))
_SYSTEMD_NAME = "rota-agent.service"
_PATHS = ("ROTA_HOME", "ROTA_TOKEN_FILE")  # and names that end in these:
_PATH_ENDINGS = ("_CERTIFICATE", "_CLIENT_KEY")
_NO_SUPERVISOR = (
    "neither systemd nor launchd runs here, so nothing would start the agent: run `rota agent` under what starts services here, "
    "or take the unit from `rota agent install --print`"
)


class InstallError(RotaError):
    """The agent cannot be made a service, or is none."""


class Service(NamedTuple):
    """A service: the file that describes it, and the commands that make it run and stop."""

    path: str
    text: str
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    forget: tuple[tuple[str, ...], ...] = ()  # after the file is gone


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
    """Write the file, and have the agent started now and at every start of the machine (or session).

    Raises:
        InstallError: there is nobody to start it, or the file cannot be written, or a command failed.
    """
    made = service(is_system, sys.platform, os.environ)
    _need_supervisor()
    is_again = os.path.exists(made.path)
    _write(made)
    for words in made.stop if is_again else ():
        _call(words, may_fail=True)
    for words in made.start:
        _call(words)
    print("the agent runs, and will after every start: %s" % made.path)
    _advise(is_system)
    return 0


def uninstall(is_system: bool) -> int:
    """Stop the agent for good and remove its file. What its spool holds stays. Raises as ``install`` does."""
    made = service(is_system, sys.platform, os.environ)
    if not os.path.exists(made.path):
        raise InstallError("no agent is installed: there is no %s" % made.path)
    _need_supervisor()
    for words in made.stop:
        _call(words, may_fail=True)
    os.unlink(made.path)
    for words in made.forget:
        _call(words)
    print("the agent is stopped, and %s removed. Scripts send their facts themselves now" % made.path)
    return 0


def show(is_system: bool) -> int:
    """Print the file that ``install`` would write."""
    print(service(is_system, sys.platform, os.environ).text, end="")
    return 0


def _systemd(command: list[str], plain: dict[str, str], is_system: bool) -> Service:
    folder = "/etc/systemd/system" if is_system else os.path.join(_user_config(), "systemd", "user")
    call = ("systemctl",) if is_system else ("systemctl", "--user")
    start = ((*call, "daemon-reload"), (*call, "enable", _SYSTEMD_NAME), (*call, "restart", _SYSTEMD_NAME))
    stop = ((*call, "disable", "--now", _SYSTEMD_NAME),)
    text = unit.systemd_unit([*command, *(["--all-users"] if is_system else [])], plain, is_system)
    return Service(os.path.join(folder, _SYSTEMD_NAME), text, start, stop, ((*call, "daemon-reload"),))


def _launchd(command: list[str], plain: dict[str, str], is_system: bool) -> Service:
    library = "/Library" if is_system else os.path.expanduser("~/Library")
    folder = os.path.join(library, "LaunchDaemons" if is_system else "LaunchAgents")
    path = os.path.join(folder, unit.LABEL + ".plist")
    domain = "system" if is_system else "gui/%d" % os.getuid()
    text = unit.launchd_plist(command, plain, os.path.join(library, "Logs", "rota-agent.log"))
    stop = (("launchctl", "bootout", "%s/%s" % (domain, unit.LABEL)),)
    return Service(path, text, (("launchctl", "bootstrap", domain, path),), stop)


def _user_config() -> str:
    return os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")


def _need_supervisor() -> None:
    is_there = os.path.isdir(_RUNNING_SYSTEMD) and shutil.which("systemctl")
    if not (shutil.which("launchctl") if sys.platform == "darwin" else is_there):
        raise InstallError(_NO_SUPERVISOR)


def _write(made: Service) -> None:
    draft = made.path + ".new"
    try:
        os.makedirs(os.path.dirname(made.path), exist_ok=True)
        with open(draft, "w", encoding="utf-8") as file:
            file.write(made.text)
        os.replace(draft, made.path)
    except OSError as error:
        raise InstallError("cannot write %s: %s. Use sudo, or install for this user with --user" % (made.path, error)) from error


def _call(words: tuple[str, ...], may_fail: bool = False) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode and not may_fail:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise InstallError("`%s` failed with %d: %s" % (" ".join(words), done.returncode, said or "it said nothing"))


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
