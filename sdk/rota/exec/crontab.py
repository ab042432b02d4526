"""The schedule of a command that cron began: that of its line in a crontab. Asked for when the command is over.

Cron does not tell a job which line it comes from. It is found by its text, and where that is not certain nothing is said: other
lines of the same name have other times, or nobody knows in which zone cron counts.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import re
import select

from rota.exec.naming import name_of_line
from rota.exec.options import remark
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

SYSTEM = "/etc/crontab"
SYSTEM_FOLDER = "/etc/cron.d"
USERS = ("/var/spool/cron/crontabs", "/var/spool/cron")  # Debian's cron, cronie; only root may read there
_DAEMONS = ("cron", "crond")
_SETTING = re.compile(r"""["']?([A-Za-z_]\w*)["']?\s*=\s*["']?([^"'\n]*)""")
_MOST_BYTES = 1 << 20
_PATIENCE_SECONDS = 1.0


class Line:
    """A line of a crontab that begins a command. ``zone`` and ``shell``: what ``CRON_TZ`` (cronie) and ``SHELL`` above it say."""

    def __init__(self, schedule: str, user: str, command: str, zone: str, shell: str) -> None:
        self.schedule, self.user, self.command, self.zone, self.shell = schedule, user, command, zone, shell
        self._workflow = ""

    @property
    def workflow(self) -> str:
        """What its run is called under ``rota-sh``."""
        if not self._workflow:  # 0.1 ms for some lines, and each is compared with all
            self._workflow = remark(self.command).get("--name") or name_of_line(self.command)
        return self._workflow


def declared(line: str, workflow: str) -> dict[str, object]:
    """What the crontab declares of the workflow that ``line`` is a run of: its schedule and zone; empty when nobody knows."""
    if not _is_cron(os.getppid()):
        return {}
    user = os.environ.get("LOGNAME") or os.environ.get("USER")
    if not user:
        return {}
    found = schedule_of(line, workflow, [each for each in lines_of(user) if each.user == user])
    where = (found.zone or zone(os.getppid())) if found else None
    return {names.SCHEDULE_SPEC: found.schedule, names.SCHEDULE_TZ: where} if found and where else {}


def schedule_of(line: str, workflow: str, lines: list[Line]) -> Line | None:
    """The line of that text; None where it is not there, or not the only one to say when the workflow runs."""
    own = [each for each in lines if each.command == line.rstrip()]
    others = [each for each in lines if each not in own and each.workflow == workflow]
    times = {(each.schedule, each.zone) for each in own + others}
    if not own or len(times) != 1 or own[0].schedule == "@reboot" or "~" in own[0].schedule:
        return None
    return own[0]


def read(text: str, user: str = "") -> Iterator[Line]:
    """The commands of a crontab: of this user, or without one of a system's, which names the user in each line."""
    above: dict[str, str] = {}
    for row in (each.strip(" \t") for each in text.splitlines()):
        setting = _SETTING.match(row)
        if setting is not None:
            above[setting[1]] = setting[2].strip()
            continue
        fields = (1 if row.startswith("@") else 5) + (0 if user else 1)
        words = row.split(None, fields)
        if row.startswith("#") or len(words) <= fields:
            continue
        last = fields if user else fields - 1
        command, zone, shell = _command(words[fields]), above.get("CRON_TZ", ""), above.get("SHELL", "")
        yield Line(" ".join(words[:last]), user or words[last], command, zone, shell)


def lines_of(user: str) -> Iterator[Line]:
    """Those of a user's crontab, and the system's."""
    texts = (_text(os.path.join(folder, user)) for folder in USERS)
    yield from read(next(filter(None, texts), "") or _listed(), user)
    yield from _of_system()


def every_line() -> Iterator[Line]:
    """Those of all users whose crontabs may be read, and the system's."""
    for folder in USERS:
        for user in sorted(_names(folder)):
            yield from read(_text(os.path.join(folder, user)), user)
    yield from _of_system()


def _of_system() -> Iterator[Line]:
    yield from read(_text(SYSTEM))
    for name in sorted(_names(SYSTEM_FOLDER)):
        if "." not in name and not name.endswith("~"):
            yield from read(_text(os.path.join(SYSTEM_FOLDER, name)))


def zone(daemon: int) -> str | None:
    """The time zone that cron counts in, by its name; None when that cannot be told."""
    told = re.search(rb"(?:^|\0)TZ=:?([^\0]+)", _bytes("/proc/%d/environ" % daemon))
    if told is not None:
        return told[1].decode("utf-8", "replace").rpartition("zoneinfo/")[2]
    try:
        link = os.readlink("/etc/localtime")
    except FileNotFoundError:
        return "UTC"
    except OSError:  # it is a file
        link = ""
    return link.partition("zoneinfo/")[2] or _text("/etc/timezone").strip() or None


def _is_cron(process: int) -> bool:
    return _text("/proc/%d/comm" % process).strip() in _DAEMONS


def _command(text: str) -> str:
    r"""As cron gives it to the shell: what follows a ``%`` is its input, and ``\%`` is a ``%``."""
    return re.split(r"(?<!\\)%", text, maxsplit=1)[0].replace("\\%", "%").rstrip()


def _listed() -> str:
    """What ``crontab -l`` prints: who is not root may not read the file."""
    reader, writer = os.pipe()
    quiet = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    try:
        actions = [*quiet, (os.POSIX_SPAWN_DUP2, writer, 1)]
        process = os.posix_spawnp("crontab", ["crontab", "-l"], os.environ, file_actions=actions)
    except OSError:
        os.close(writer)
        os.close(reader)
        return ""
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as file:
        answers = select.select([file], [], [], _PATIENCE_SECONDS)[0]
        text = file.read(_MOST_BYTES) if answers else ""
    if not answers:
        os.kill(process, _signal.SIGKILL)
    os.waitpid(process, 0)
    return text


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _text(path: str) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
