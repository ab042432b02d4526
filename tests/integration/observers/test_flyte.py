"""What is particular to Flyte: steps, what is cancelled, names that are given twice, and runs that its own spans tell as well."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from collectors import clean_environment
from observed import Seen, seen
from orchestrators import SOURCES, TOP, python_of
from scripts import Outcome, read_back

from rota.rules.fold import STATES
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.journal import Record, Signal

RECORDING = TOP / "tests" / "contract" / "recordings" / "flyte.jsonl"
OF_BROKEN = "6a61dd07-31ed-4e96-aacc-9529f798d7a6"  # the name of a run in it
HEAD = """
import asyncio, logging, os, sys, time
import rota_integrations.flyte
import flyte
logging.getLogger("flyte").setLevel(logging.CRITICAL)
environment = flyte.TaskEnvironment(name="etl")
"""
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def flow(home: Path) -> Run:
    """Start a script that observes Flyte, while nobody listens."""

    def start(source: str, head: str = HEAD, **settings: str) -> subprocess.Popen[str]:
        nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
        environment = clean_environment(PYTHONPATH=SOURCES, **{**nobody, **settings})
        command = [python_of("flyte"), "-c", head + source]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def done(process: subprocess.Popen[str]) -> str:
    """What it printed, and nothing on stderr."""
    printed, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    return printed


def told(home: Path) -> dict[str, Seen]:
    """The runs by their workflows; and nothing went wrong inside rota."""
    assert not (home / "errors.jsonl").exists(), (home / "errors.jsonl").read_text()
    return {run.workflow: run for run in seen(home)}


def states(run: Seen) -> dict[str, set[str]]:
    """The last states of its tasks."""
    return {name: task.last for name, task in run.tasks.items()}


def test_steps_are_tasks_too(flow: Run, home: Path) -> None:
    """A step of ``flyte.trace`` is told, also one whose error its task puts up with, in tasks that are coroutines or not."""
    source = """
@flyte.trace
async def step(good: bool) -> int:
    if not good:
        raise KeyError("no table orders")
    return 1

@flyte.trace
def plain_step() -> int:
    return 2

@environment.task
async def nightly() -> int:
    try:
        await step(False)
    except KeyError:
        return 7

@environment.task
def plain() -> int:
    return plain_step()

flyte.with_runcontext(mode="local").run(nightly)
flyte.with_runcontext(mode="local").run(plain)
"""
    done(flow(source))
    runs = told(home)
    assert states(runs["etl.nightly"]) == {"step": {"failed"}, "etl.nightly": {"succeeded"}}
    assert runs["etl.nightly"].tasks["step"].errors == ["KeyError: 'no table orders'"]
    assert states(runs["etl.plain"]) == {"plain_step": {"succeeded"}, "etl.plain": {"succeeded"}}
    assert [run.states for run in runs.values()] == 2 * [["running", "succeeded"]]


def test_what_is_cancelled_is_told_so_and_nothing_else(flow: Run, home: Path) -> None:
    """A task that another's failure cancels; but not one that is called while an error is being dealt with."""
    source = """
@environment.task
async def slow() -> int:
    await asyncio.sleep(60)

@environment.task
async def broken() -> int:
    await asyncio.sleep(0.3)
    raise ValueError("row 7")

@environment.task
async def instead() -> int:
    return 1

@environment.task
async def nightly() -> int:
    first = asyncio.ensure_future(slow())
    try:
        await broken()
    except Exception:
        first.cancel()
        await asyncio.sleep(0)
        return await instead()

flyte.with_runcontext(mode="local").run(nightly)
"""
    done(flow(source))
    run = told(home)["etl.nightly"]
    assert states(run) == {
        "etl.slow": {"cancelled"}, "etl.broken": {"failed"}, "etl.instead": {"succeeded"}, "etl.nightly": {"succeeded"}
    }  # fmt: skip
    assert run.states == ["running", "succeeded"]


def test_a_task_that_its_run_left_behind_tells_its_end(flow: Run, home: Path) -> None:
    """Flyte does not wait for the others when one has failed; they go on, and their ends are facts as well."""
    source = """
@environment.task
async def slow() -> int:
    await asyncio.sleep(0.5)
    return 1

@environment.task
async def broken() -> int:
    raise ValueError("row 7")

@environment.task
async def nightly() -> None:
    await asyncio.gather(slow(), broken())

try:
    flyte.with_runcontext(mode="local").run(nightly)
except flyte.errors.RuntimeUserError:
    time.sleep(1.5)
"""
    done(flow(source))
    run = told(home)["etl.nightly"]
    assert run.states == ["running", "failed"]
    assert states(run) == {"etl.slow": {"succeeded"}, "etl.broken": {"failed"}, "etl.nightly": {"failed"}}


def test_a_cancelled_run_of_a_service_is_cancelled(flow: Run, home: Path) -> None:
    """One whose caller no longer waits, in a process that goes on."""
    source = """
@environment.task
async def nightly() -> int:
    await asyncio.sleep(60)

async def service():
    run = asyncio.ensure_future(flyte.with_runcontext(mode="local").run.aio(nightly))
    await asyncio.sleep(1)
    run.cancel()
    await asyncio.sleep(0.5)

asyncio.run(service())
"""
    done(flow(source))
    assert told(home)["etl.nightly"].raw == ["running", "aborted"]


def test_a_run_that_is_left_alone_goes_on_until_its_process_ends(flow: Run, home: Path) -> None:
    """After a Ctrl-C that the script deals with, Flyte goes on behind it: the run is over with the process, not before."""
    source = """
@environment.task
async def nightly() -> int:
    print("up", flush=True)
    await asyncio.sleep(60)

try:
    flyte.with_runcontext(mode="local").run(nightly)
except KeyboardInterrupt:
    print("well", flush=True)
"""
    process = flow(source)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert done(process) == "well\n"
    run = told(home)["etl.nightly"]
    assert (run.states, run.raw) == (["running", "cancelled"], ["running", "abandoned"])


def test_a_task_that_lasts_is_seen_before_it_ends(flow: Run, home: Path) -> None:
    """Also where another was told a moment before; a quick one tells its end only."""
    source = """
@environment.task
async def quick() -> int:
    return 1

@environment.task
def long() -> int:
    time.sleep(0.5)
    return 2

@environment.task
async def nightly() -> int:
    return await quick() + await long.aio()

flyte.with_runcontext(mode="local").run(nightly)
"""
    done(flow(source))
    started = [each[names.TASK_NAME] for each in read_back(Outcome(0, b"", b"", home)).events if names.TASK_NAME in each]
    assert started == ["etl.nightly", "etl.long"]


NAMED = """
@environment.task
async def nightly() -> None:
    print(flyte.ctx().action.run_name)

flyte.with_runcontext(mode="local", name=os.environ.get("NAME")).run(nightly)
"""


def test_a_run_is_the_same_by_its_spans(flow: Run, home: Path) -> None:
    """What flyteplugins-otel tells of a run, and what is seen of it here, is one run."""
    name = done(flow(NAMED)).strip()
    spans = RECORDING.read_text().replace(OF_BROKEN, name).encode()
    by_spans = {event.run_id for event in to_rows.run_events([Record(0, 1, Signal.TRACES_JSON, 1, spans)])}
    (by_room,) = {each[names.RUN_ID] for each in read_back(Outcome(0, b"", b"", home)).events}
    assert by_room in by_spans


def test_a_name_that_is_given_again_is_another_run(flow: Run, home: Path) -> None:
    """Flyte lets a local run have yesterday's name: it is not yesterday's run."""
    for _ in range(2):
        assert done(flow(NAMED, NAME="nightly")) == "nightly\n"
    assert [run.states for run in seen(home)] == 2 * [["running", "succeeded"]]


@pytest.mark.parametrize("settings", [{"ROTA_HOME": "/dev/null/nowhere"}, {"ROTA_DISABLED": "1"}], ids=str)
def test_a_run_is_as_it_is_without_rota(flow: Run, settings: dict[str, str]) -> None:
    """Where rota's home cannot be written, and where it is off: the same result, and nothing printed."""
    source = """
@environment.task
async def nightly() -> int:
    return 7

print(flyte.with_runcontext(mode="local").run(nightly).outputs()[0])
"""
    assert done(flow(source, **settings)) == "7\n"


def test_a_later_flyte_without_the_hooks_is_left_alone(flow: Run, home: Path) -> None:
    """The script runs on; rota's doctor knows."""
    source = """
import os, sys
import flyte
os.makedirs(os.environ["ROTA_HOME"])
sys.modules["flyte._observe"] = None
import rota_integrations.flyte
print("on")
"""
    assert done(flow(source, head="")) == "on\n"
    assert "flyte._observe" in (home / "errors.jsonl").read_text()


def test_an_older_flyte_is_refused(flow: Run) -> None:
    """With the version that is there, and what to install."""
    source = """
from importlib import metadata
metadata.version = lambda name: "2.5.20"
try:
    import rota_integrations.flyte
except ImportError as error:
    print(error)
"""
    refused = "rota_integrations.flyte needs flyte 2.6; 2.5.20 is installed: pip install 'rota[flyte]'\n"
    assert done(flow(source, head="")) == refused


def test_every_phase_of_flyte_is_known(flow: Run) -> None:
    """The table has each word that Flyte has, for runs and for tasks."""
    source = """
from flyteidl2.common.phase_pb2 import ActionPhase
print(*(name.replace("ACTION_PHASE_", "").lower() for name in ActionPhase.keys()))
"""
    table = json.loads((TOP / "integrations" / "rota_integrations" / "flyte" / "states.json").read_text())
    for words in table.values():
        assert set(done(flow(source)).split()) <= set(words)
        assert {word.partition("(")[0] for word in words.values()} <= set(STATES)
