"""The real cron daemon of Debian, with crontabs of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
# A cron daemon of our own: it sees our crontabs where it looks for the system's, and the machine's own cron sees nothing.
DAEMON = """
set -e
mount --bind "$1/crontabs" /var/spool/cron/crontabs
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/empty" /etc/crontab
mount --bind "$1/run" /run
exec cron -f
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
        for name in ("crontabs", "cron.d", "run"):
            (folder / name).mkdir(parents=True)
        (folder / "empty").touch()
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, name: str, *lines: str) -> None:
        """A crontab: a user's (``crontabs/root``) or a system one (``cron.d/…``); it replaces the one there was."""
        settings = [f"{key}={value}" for key, value in {"MAILTO": '""', **self.environment}.items()]
        path = self.folder / name
        part = self.folder / "part"
        part.write_text("\n".join([*settings, *lines]) + "\n")
        part.chmod(0o600)
        part.rename(path)

    def start(self, **environment: str) -> None:
        """Run the daemon in a mount namespace of its own; a variable of its own environment is ``TZ``."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", DAEMON, "sh", str(self.folder)]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdin=null, stdout=null, stderr=null)

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
