"""The processes behind ``rota up`` and ``rota demo``: how each part is started, watched and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

from rota.errors import RotaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, Mapping, NoReturn

# What each part needs beyond the standard library. Looked for, not imported.
NEEDS = {
    "collector": (
        "duckdb",
        "pyarrow",
        "ptars",
        "uvicorn",
        "httptools",
        "uvloop",
        "fastapi",
        "msgspec",
        "grpc",
        "sqlalchemy",
        "opentelemetry.proto",
        "cronsim",
        "oncalendar",
        "yaml",
        "apprise",
        "requests",
    ),
    "offline": ("cronsim", "oncalendar", "yaml"),
    "dashboard": ("streamlit", "httpx", "pyarrow", "numpy", "cron_descriptor"),
    "agent": (),
}
READY_SECONDS = 60.0  # a cold disk and DuckDB's first start; usually one or two
_STOP_SECONDS = 20.0  # the collector drains for up to half of it
_POLL_SECONDS = 0.1


class PartMissing(RotaError):
    """A part cannot run in this installation."""


class PartDied(RotaError):
    """A part ended although nobody asked it to."""


def missing(part: str) -> list[str]:
    """The modules that ``part`` needs and that are not installed."""
    return [module for module in NEEDS[part] if not _installed(module)]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # its parent package is not there
        return False


def require(part: str) -> None:
    """Raises PartMissing, saying what to install, unless ``part`` can run here."""
    what = "what answers without a collector" if part == "offline" else "the " + part
    if NEEDS[part] and sys.version_info < (3, 11):
        raise PartMissing("%s needs Python 3.11 or newer; this is %d.%d" % (what, *sys.version_info[:2]))
    absent = missing(part)
    if absent:
        raise PartMissing("%s needs %s: pip install 'rota[server]'" % (what, ", ".join(absent)))


def command(part: str) -> list[str]:
    """The command line that runs ``part`` in the foreground."""
    # -P: what lies in the current directory must not be imported in place of a library
    python = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    return [*python, "-m", "rota", "agent"] if part == "agent" else [*python, "-m", "rota_" + part]


def become(part: str) -> int:
    """Replace this process by ``part``, so that signals and exit status are its own."""
    require(part)
    words = command(part)
    os.execv(words[0], words)


def ask_offline(asked: Mapping[str, object]) -> int:
    """Replace this process by the part of the collector that answers without one running; what it prints is the answer."""
    require("offline")
    _become_module("offline", asked)


def look_after_home(asked: Mapping[str, object]) -> int:
    """Replace this process by the part of the collector that backs up, restores and rebuilds."""
    require("collector")
    _become_module("upkeep", asked)


def _become_module(name: str, asked: Mapping[str, object]) -> NoReturn:
    python = command("collector")[:-1]
    os.execv(python[0], [*python, "rota_collector." + name, json.dumps(asked)])


class Parts:
    """Child processes that live and die together. Use as a context: leaving it stops them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self, part: str) -> int:
        """Start one part, all of whose output goes to our standard error; returns its pid."""
        require(part)
        self._running[part] = subprocess.Popen(
            command(part), env=self.environment, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
        )
        return self._running[part].pid

    def start_all(self, home: str) -> None:
        """Start the collector in ``home`` and, once it listens, the others, with the address that it really has."""
        pid = self.start("collector")
        self.wait_until(lambda: addresses(home).get("pid") == pid, READY_SECONDS, "the collector's start")
        self.environment["ROTA_HTTP"] = str(addresses(home)["http"])
        self.start("agent")
        self.start("dashboard")

    def check(self) -> None:
        """Raises PartDied when one has ended."""
        for part, process in self._running.items():
            if process.poll() is not None:
                raise PartDied("the %s ended (%s); stopping the rest" % (part, how_it_ended(process.returncode)))

    def wait_until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something; raises PartDied when a part ends meanwhile, RotaError when it takes longer than ``seconds``."""
        for _ in ticks(seconds):
            self.check()
            if true():
                return
        raise RotaError("%s did not happen within %g s" % (what, seconds))

    def stop(self) -> None:
        """Ask all to stop, the last started first, and wait; who does not is killed."""
        running = list(reversed(list(self._running.values())))
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            _reap(process, max(0.0, deadline - time.monotonic()))
        self._running.clear()


def _reap(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def addresses(home: str) -> dict[str, object]:
    """What the collector that runs in ``home`` says of itself (http, grpc, pid); empty while there is none."""
    try:
        with open(os.path.join(home, "collector.json"), encoding="utf-8") as file:
            found: dict[str, object] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}


def ticks(seconds: float) -> Iterator[None]:
    """Once now, then every tenth of a second, for so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(_POLL_SECONDS)


def how_it_ended(returncode: int) -> str:
    """``exit status 3`` or ``SIGKILL``."""
    if returncode >= 0:
        return "exit status %d" % returncode
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return "signal %d" % -returncode


def stop_on_signals() -> None:
    """From now on TERM and HUP do as Ctrl-C does: KeyboardInterrupt, so that everything is left the way it should be."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # stopping is under way; the children have a limit
    raise KeyboardInterrupt
