"""The real systemd of Debian, booted in a container that has this host's `/usr` and nothing else of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from collectors import until
from orchestrators import TOP

USER = 1500  # systemd-journald keeps no journal apart for those below 1000
CAN_RUN = os.geteuid() == 0 and shutil.which("systemd-nspawn") and shutil.which("nsenter")
NEEDS = "needs root and Debian's systemd-container"
_MACHINE = "6f1b1d7c5e0c4a0f8f7f0a5b1f0e2d31"
_RUNS = ("running\n", "degraded\n")


class Systemd:
    """A host with systemd; a power cut ends it.

    Args:
        folder: keeps its journal and our units, from boot to boot.
        is_user: whether a user's manager is meant, and not the system's.
    """

    def __init__(self, folder: Path, is_user: bool = False) -> None:
        self.folder = folder
        self.manager, self.user = (["--user"], USER) if is_user else ([], 0)
        for name in ("journal", "system", "user"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._units = folder / ("user" if is_user else "system")
        binds = [
            f"{folder}/journal:/var/log/journal",
            *(f"{folder}/{each}:/run/systemd/{each}" for each in ("system", "user")),
            folder,
        ]
        seen = ["/etc/pam.d", "/etc/security", TOP, sys.prefix, sys.base_prefix]
        command = [
            "systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--register=no", "--keep-unit", "--console=pipe",
            f"--machine=watched-{os.getpid()}", "--hostname=watched", f"--uuid={_MACHINE}",  # its journal is found by it
            *(f"--bind={each}" for each in binds),
            *(f"--bind-ro={each}" for each in seen if not str(each).startswith("/usr")),
            "--boot", "systemd.unit=basic.target", "systemd.mask=cron.service",
        ]  # fmt: skip
        self._log = (folder / "log").open("ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        try:
            until(lambda: self._first() and self.within("systemctl", "is-system-running").stdout in _RUNS, "systemd")
            if is_user:
                self._log_in()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Systemd:
        return self

    def __exit__(self, *_: object) -> None:
        """As a power cut does: without a word. All of its processes end with the first."""
        if first := self._first():
            os.kill(int(first), signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait(10)
        self._log.close()

    def _first(self) -> str:
        """The id of its first process, once there is one."""
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split(" ")[0]

    def _log_in(self) -> None:
        for command in (
            ["systemd-sysusers", "--inline", f"u watched {USER} - /run/user/{USER} /bin/sh"],
            ["systemctl", "start", f"user@{USER}.service"],
        ):
            done = self.within(*command)
            assert done.returncode == 0, done.stderr
        until(lambda: self.run("systemctl", "--user", "is-system-running").stdout in _RUNS, "the user's systemd")

    def within(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of its root."""
        spaces = ["nsenter", f"--target={self._first()}", "--mount", "--pid", "--uts", "--ipc", f"--wd={self.folder}"]
        settings = environment or dict(os.environ)
        return subprocess.run([*spaces, *command], env=settings, capture_output=True, text=True, check=False, timeout=60)

    def run(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of whose manager it is. A user may go into folders of whoever runs the tests."""
        if not self.user:
            return self.within(*command, environment=environment)
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        folders = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        place = {"HOME": f"/run/user/{USER}", "XDG_RUNTIME_DIR": f"/run/user/{USER}"}
        return self.within(*as_user, *folders, *command, environment=(environment or dict(os.environ)) | place)

    def manage(self, *words: str) -> str:
        """What ``systemctl`` answers."""
        done = self.run("systemctl", *self.manager, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def unit(self, name: str, text: str) -> None:
        """Write one, or what is added to one; ``systemctl daemon-reload`` reads it."""
        path = self._units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def observe(self, environment: dict[str, str]) -> None:
        """Look at its journal, once."""
        observer = [sys.executable, "-m", "rota", "observe", "systemd", *self.manager, "--once"]
        done = self.run(*observer, environment=environment)
        assert done.returncode == 0, done.stderr
