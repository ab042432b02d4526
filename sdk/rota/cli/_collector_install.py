"""``rota collector install`` and ``uninstall``: the collector as a service of systemd or launchd."""

from __future__ import annotations

import os
import sys

from rota import _config
from rota.agent.unit import launchd_plist
from rota.cli import _collector_unit, _parts, _services
from rota.cli._services import InstallError, Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_SHARED = ("ROTA_HOME", "ROTA_HTTP", "ROTA_GRPC")  # settings of the SDK too; its other ones are no business of a collector
_PATH_ENDINGS = ("_HOME", "_FILE", "_CERTIFICATE", "_KEY", "_CLIENT_CA", "_SOCKET")


def service(is_system: bool, platform: str, environment: Mapping[str, str], user: str = "") -> Service:
    """What to write and run on this kind of machine."""
    words = _parts.command("collector")
    command = [os.path.abspath(words[0]), *words[1:]]
    settings = plain_settings(environment, is_system)
    if platform == "darwin":
        log = os.path.join(_services.launchd_library(is_system), "Logs", "rota-collector.log")
        return _services.launchd("collector", launchd_plist(command, settings, log, _collector_unit.LABEL), is_system)
    return _services.systemd("collector", _collector_unit.systemd_unit(command, settings, is_system, user), is_system)


def plain_settings(environment: Mapping[str, str], is_system: bool) -> dict[str, str]:
    """The collector's settings in force that are no secrets, paths as they are from here, and always its home."""
    sdk = {setting.name for setting in _config.SETTINGS} - set(_SHARED)
    given = {name: value for name, value in environment.items() if name.startswith("ROTA_") and value and name not in sdk}
    given.setdefault("ROTA_HOME", "/var/lib/rota" if is_system else _config.home())
    plain = {name: value for name, value in given.items() if not _is_secret(value)}
    return {name: os.path.abspath(value) if name.endswith(_PATH_ENDINGS) else value for name, value in plain.items()}


def install(is_system: bool, user: str) -> int:
    """Make its home, and have the collector started now and at every start of the machine (or session). Raises InstallError."""
    made = service(is_system, sys.platform, os.environ, user)
    _parts.require("collector")
    _services.need_supervisor(made.part)
    _make_home(plain_settings(os.environ, is_system)["ROTA_HOME"], user)
    _services.install(made)
    _advise(is_system)
    return 0


def uninstall(is_system: bool) -> int:
    """Stop the collector for good and remove its file. What it kept stays. Raises InstallError."""
    made = service(is_system, sys.platform, os.environ)
    _services.uninstall(made)
    home = plain_settings(os.environ, is_system)["ROTA_HOME"]
    print("the collector is stopped, and %s removed. What it kept stays in %s" % (made.path, home))
    return 0


def show(is_system: bool, user: str) -> int:
    """Print the file that ``install`` would write."""
    print(service(is_system, sys.platform, os.environ, user).text, end="")
    return 0


def _is_secret(value: str) -> bool:
    """An address with a password in it."""
    return "://" in value and "@" in value


def _make_home(path: str, user: str) -> None:
    """The unit lets it write there and nowhere else, so it cannot make it itself."""
    import shutil

    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if user:
            shutil.chown(path, user)
    except (OSError, LookupError) as error:
        whose = " for the user %s" % user if user else ""
        raise InstallError("cannot make the home %s%s: %s. Choose another: ROTA_HOME=/path" % (path, whose, error)) from error


def _advise(is_system: bool) -> None:
    """What else a person should know."""
    secrets = _collector_unit.secrets_file(is_system).replace("%h", os.path.expanduser("~"))
    given = [name for name, value in os.environ.items() if name.startswith("ROTA_") and _is_secret(value)]
    if given and sys.platform != "darwin":
        print("%s is secret and not in that file: write it into %s (mode 600), then restart" % (" and ".join(given), secrets))
    if not is_system and sys.platform != "darwin":
        print("to keep it running while you are not logged in: loginctl enable-linger")
