"""A part of rota as a service of systemd or launchd: where its file goes, who is asked to start it, and what goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

from rota.errors import RotaError

RUNNING_SYSTEMD = "/run/systemd/system"  # exists when systemd is what started this machine (sd_booted(3))


class InstallError(RotaError):
    """A part cannot be made a service, or is none."""


class Service(NamedTuple):
    """A service: what people call it, the file that describes it, and the commands that make it run and stop."""

    part: str
    path: str
    text: str
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    forget: tuple[tuple[str, ...], ...] = ()  # after the file is gone


def systemd(part: str, text: str, is_system: bool) -> Service:
    """``rota-<part>.service``, of the machine or of this user."""
    name = "rota-%s.service" % part
    folder = "/etc/systemd/system" if is_system else os.path.join(_user_config(), "systemd", "user")
    call = ("systemctl",) if is_system else ("systemctl", "--user")
    start = ((*call, "daemon-reload"), (*call, "enable", name), (*call, "restart", name))
    return Service(
        part, os.path.join(folder, name), text, start, ((*call, "disable", "--now", name),), ((*call, "daemon-reload"),)
    )


def launchd_library(is_system: bool) -> str:
    """The folder that holds what launchd reads, and logs."""
    return "/Library" if is_system else os.path.expanduser("~/Library")


def launchd(part: str, text: str, is_system: bool) -> Service:
    """``rota.<part>``, in the domain of the machine or of this user."""
    label = "rota." + part
    folder = os.path.join(launchd_library(is_system), "LaunchDaemons" if is_system else "LaunchAgents")
    path = os.path.join(folder, label + ".plist")
    domain = "system" if is_system else "gui/%d" % os.getuid()
    return Service(
        part, path, text, (("launchctl", "bootstrap", domain, path),), (("launchctl", "bootout", "%s/%s" % (domain, label)),)
    )


def install(made: Service) -> None:
    """Write the file, and have the part started now and at every start of the machine (or session).

    Raises:
        InstallError: there is nobody to start it, or the file cannot be written, or a command failed.
    """
    need_supervisor(made.part)
    is_again = os.path.exists(made.path)
    _write(made)
    for words in made.stop if is_again else ():
        _call(words, may_fail=True)
    for words in made.start:
        _call(words)
    print("the %s runs, and will after every start: %s" % (made.part, made.path))


def uninstall(made: Service) -> None:
    """Stop the part for good and remove its file. What it wrote stays. Raises as ``install`` does."""
    if not os.path.exists(made.path):
        raise InstallError("no %s is installed: there is no %s" % (made.part, made.path))
    need_supervisor(made.part)
    for words in made.stop:
        _call(words, may_fail=True)
    os.unlink(made.path)
    for words in made.forget:
        _call(words)


def _user_config() -> str:
    return os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")


def need_supervisor(part: str) -> None:
    """Raises InstallError when neither systemd nor launchd is there to start ``part``."""
    is_there = os.path.isdir(RUNNING_SYSTEMD) and shutil.which("systemctl")
    if not (shutil.which("launchctl") if sys.platform == "darwin" else is_there):
        raise InstallError(
            "neither systemd nor launchd runs here, so nothing would start the %s: run `rota %s` under what starts services "
            "here, or take the unit from `rota %s install --print`" % (part, part, part)
        )


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
