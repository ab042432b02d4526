"""``rota demo``: everything at once in a fresh home: the parts start, the examples run, and what rota saw is shown."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from rota.cli import _api, _parts, _text, runs, show, up
from rota.cli._receiver import Receiver
from rota.errors import RotaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "start everything in a fresh home, run the examples, and show what rota saw"
_SEEN_SECONDS = 30.0  # a run is there within a second; this is for a machine that is busy with something else
_OURS = ("ROTA_", "OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
_PORTS = (("ROTA_HTTP", 4318), ("ROTA_GRPC", 4317), ("ROTA_DASHBOARD", 8501))


class Example(NamedTuple):
    """A script, the workflow that it is, its arguments, the states that its run may be in, and what runs it."""

    script: str
    workflow: str
    arguments: tuple[str, ...]
    states: tuple[str, ...]
    prefix: tuple[str, ...] = (sys.executable,)


_ETL = Example("etl_airports.py", "airports.etl", (), ("succeeded",))
_FLAKY_WHOLE = Example("flaky_report.py", "flaky_report", ("1",), ("succeeded",))
_FLAKY_BROKEN = Example("flaky_report.py", "flaky_report", ("10",), ("failed",))
_SHELL = Example("backup.sh", "backup", (), ("succeeded",), (sys.executable, "-m", "rota", "exec", "--", "sh"))
_STOPS = Example("disk_check.py", "disk_check", (), ("succeeded",))  # says `every 5s`, and is not run again
_HANGS = Example("stuck_sync.py", "stuck_sync", (), ("running",))
_TERMINATED = _HANGS._replace(states=("cancelled", "crashed"))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the option of ``rota demo``."""
    parser.add_argument("--exit", action="store_true", help="exit when all was seen: 0, or 1 with the reason")


def run(args: Namespace) -> int:
    """Show it, then serve until Ctrl-C (or, with ``--exit``, do not). Exit status 1 when something was not seen."""
    for part in _parts.NEEDS:
        _parts.require(part)
    examples = find_examples()
    home = tempfile.mkdtemp(prefix="rota-demo-")
    _parts.stop_on_signals()
    try:
        with Receiver() as receiver, _parts.Parts(environment(home)) as parts:
            os.environ.clear()
            os.environ.update(parts.environment)  # what is read from the API is read from this collector
            parts.start_all(home)
            _show(parts, examples, receiver)
            if not args.exit:
                print("Ctrl-C ends the demo and removes its home.", flush=True)
                up.serve(parts)
    except KeyboardInterrupt:
        return 1 if args.exit else 0
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def find_examples() -> str:
    """The directory of the example scripts: beside the package's checkout, or below the current directory."""
    here = os.path.dirname(os.path.abspath(__file__))
    for root in (os.path.join(here, "..", "..", ".."), os.getcwd()):
        path = os.path.abspath(os.path.join(root, "examples", "after"))
        if os.path.isfile(os.path.join(path, _ETL.script)):
            return path
    raise RotaError(
        "the examples are not here: an installed rota has none. Clone its repository and run `rota demo` there, "
        "or run `rota up` and watch a script of your own"
    )


def environment(home: str) -> dict[str, str]:
    """The environment of the demo: this one without anything that speaks of another rota."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    found.update({name: "127.0.0.1:%d" % free_port(usual) for name, usual in _PORTS})
    found.update({"ROTA_HOME": home, "ROTA_AGENT": os.path.join(home, "agent.sock")})
    found["ROTA_WEBHOOK_ALLOW_PRIVATE"] = "1"  # the demo's own receiver of alerts listens on this machine
    return found


def free_port(usual: int) -> int:
    """``usual`` when nobody listens there, otherwise a port that is free now."""
    for port in (usual, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return int(sock.getsockname()[1])
            except OSError:
                continue
    raise RotaError("there is no free port on 127.0.0.1")


def _show(parts: _parts.Parts, examples: str, receiver: Receiver) -> None:
    agent = parts.environment["ROTA_AGENT"]
    parts.wait_until(lambda: os.path.exists(agent), _parts.READY_SECONDS, "the agent's start")
    _api.post("/channels", {"name": "demo", "url": receiver.url})
    shell = _SHELL._replace(arguments=(examples, os.path.join(parts.environment["ROTA_HOME"], "backups")))
    ended = (_STOPS, _ETL, _FLAKY_WHOLE, _FLAKY_BROKEN, shell)
    for example in ended:
        _run_to_its_end(example, examples, parts)
    _run_until_terminated(examples, parts)
    for example in (*ended, _TERMINATED):
        _wait_for(example, parts)
    _print_what_was_seen()
    _print_alert(parts, receiver)
    dashboard = "http://" + parts.environment["ROTA_DASHBOARD"]
    parts.wait_until(lambda: answers(dashboard), _parts.READY_SECONDS, "the dashboard's start")
    print("\ndashboard  %s\nAPI        http://%s/api/v1/runs" % (dashboard, parts.environment["ROTA_HTTP"]), flush=True)


def answers(url: str) -> bool:
    """Whether a GET of ``url`` is answered with a page."""
    try:
        with _api.open_url(url, timeout_seconds=2.0):
            return True
    except (OSError, ValueError):
        return False


def _command(example: Example, examples: str) -> list[str]:
    directory = examples if example.script.endswith(".py") else os.path.dirname(examples)
    return [*example.prefix, os.path.join(directory, example.script), *example.arguments]


def _run_to_its_end(example: Example, examples: str, parts: _parts.Parts) -> None:
    started = time.monotonic()
    words = _command(example, examples)
    ended = subprocess.run(words, env=parts.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = _text.duration(time.monotonic() - started)
    shown = " ".join((example.script, *map(os.path.basename, example.arguments)))
    print("ran %s: %s after %s" % (shown, _parts.how_it_ended(ended.returncode), took))
    if bool(ended.returncode) != ("failed" in example.states):
        raise RotaError("%s should have %s:\n%s" % (example.script, example.states[0], ended.stderr.decode(errors="replace")))


def _run_until_terminated(examples: str, parts: _parts.Parts) -> None:
    """A script that hangs is seen while it hangs; then it is terminated, and that is seen too."""
    words = _command(_HANGS, examples)
    process = subprocess.Popen(words, env=parts.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for(_HANGS, parts)
        print("started %s, which hangs. rota sees it:\n" % _HANGS.script)
        runs.print_runs(_runs_of(_HANGS))
    finally:
        process.terminate()
        process.wait()
    print("\nterminated it: %s\n" % _parts.how_it_ended(process.returncode))


def _wait_for(example: Example, parts: _parts.Parts) -> None:
    what = "seeing a run of %s that is %s" % (example.script, " or ".join(example.states))
    parts.wait_until(lambda: bool(_runs_of(example)), _SEEN_SECONDS, what)


def _runs_of(example: Example) -> list[_api.Item]:
    return [run for run in _api.items("/runs", workflow=example.workflow) if run["state"] in example.states]


def _detail(example: Example) -> _api.Item:
    return _api.get("/runs/" + _runs_of(example)[0]["id"])


def _print_what_was_seen() -> None:
    runs.print_runs(list(_api.items("/runs")))
    etl, failed = _detail(_ETL), _detail(_FLAKY_BROKEN)
    if not etl["tasks"]:
        raise RotaError("the run of %s came without its tasks" % _ETL.script)
    print("\nthe tasks of %s:\n" % etl["workflow"])
    show.print_tasks(etl)
    print("\nwhy %s failed:" % failed["workflow"])
    show.print_error(failed)


def _print_alert(parts: _parts.Parts, receiver: Receiver) -> None:
    """The workflow that is expected every 5 s ran once: its slot is missed, and the alert comes by the channel."""
    what = "the alert about %s, which was to run every 5 s and ran once," % _STOPS.script
    parts.wait_until(lambda: bool(receiver.about(_STOPS.workflow, "missed")), _SEEN_SECONDS, what)
    alert = receiver.about(_STOPS.workflow, "missed")[0]
    print("\n%s was to run every 5 s and ran once. The alert that came:\n" % _STOPS.script)
    for line in str(alert["text"]).splitlines():
        print("    " + _text.clean(line))
