"""The real cron daemon of Debian, with crontabs of our own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

BIN = Path(sys.executable).parent
# A cron daemon of our own: it sees our crontabs where it looks for the system's, and the machine's own cron sees nothing.
DAEMON = """
set -e
mount --bind "$1/crontabs" /var/spool/cron/crontabs
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/empty" /etc/crontab
mount --bind "$1/run" /run
# Where its messages go: /dev/log is a link into /run where systemd is, and else a socket, or nothing.
if [ -S /dev/log ] && ! [ -L /dev/log ]; then mount --bind "$1/run/systemd/journal/dev-log" /dev/log; fi
[ -L /dev/log ] || [ -e /dev/log ] || ln -s /run/systemd/journal/dev-log /dev/log
exec cron -f -L "$2"
"""
CAN_RUN = (
    os.geteuid() == 0 and shutil.which("cron") and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0
)
MINUTES_SECONDS = 150.0  # cron wakes once a minute; a busy machine lets it oversleep
NEEDS = "needs root, Debian's cron and mount namespaces"


class Cron:
    """A cron daemon and its crontabs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        for name in ("crontabs", "cron.d", "run/systemd/journal"):
            (folder / name).mkdir(parents=True)
        (folder / "empty").touch()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "syslog"
        self._messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with self._door() as path:
            self._messages.bind(path)
        (folder / "run/systemd/journal/dev-log").chmod(0o666)
        threading.Thread(target=self._keep_log, daemon=True).start()

    @contextlib.contextmanager
    def _door(self) -> Iterator[str]:
        """Where messages come in, by a path that is short enough for a socket."""
        folder = os.open(self.folder / "run/systemd/journal", os.O_RDONLY)
        try:
            yield f"/proc/self/fd/{folder}/dev-log"
        finally:
            os.close(folder)

    def _keep_log(self) -> None:
        """As a syslog daemon does, in its traditional format: with this host's name, and without what kind of message it is."""
        with self._messages, self.log.open("ab", buffering=0) as log:
            while message := self._messages.recv(65536):
                date, rest = message.partition(b">")[2][:15], message.partition(b">")[2][16:]
                log.write(b"%s %s %s\n" % (date, os.uname().nodename.encode(), rest.rstrip(b"\n")))

    def write(self, name: str, *lines: str) -> None:
        """A crontab: a user's (``crontabs/root``) or a system one (``cron.d/…``); it replaces the one there was."""
        settings = [f"{key}={value}" for key, value in {"MAILTO": '""', **self.environment}.items()]
        path = self.folder / name
        part = self.folder / "part"
        part.write_text("\n".join([*settings, *lines]) + "\n")
        part.chmod(0o600)
        part.rename(path)

    def start(self, level: int = 1, **environment: str) -> None:
        """Run the daemon in a mount namespace of its own, which logs so much; a variable of its own environment is ``TZ``."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", DAEMON, "sh", str(self.folder), str(level)]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdin=null, stdout=null, stderr=null)

    def observe(self, environment: dict[str, str], *options: str) -> None:
        """Look at its log and its crontabs, once, from where it sees them."""
        assert self.process is not None
        within = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", f"--wd={self.folder}"]
        command = [*within, sys.executable, "-m", "rota", "observe", "cron", "--once", "--log", str(self.log), *options]
        subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, timeout=60)

    @property
    def children(self) -> list[str]:
        """Ids of the processes that it waits for."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last, self._door() as path:
            last.sendto(b"", path)  # an empty message: who keeps the log is done
