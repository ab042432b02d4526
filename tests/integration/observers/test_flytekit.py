"""What is particular to flytekit: workflows in workflows, tasks that make tasks, tasks by themselves, what was never called."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from collectors import clean_environment
from observed import Seen, seen
from orchestrators import SOURCES, TOP, python_of

HEAD = """
import contextlib, os, sys
import rota_integrations.flytekit
from flytekit import dynamic, map_task, task, workflow

def named(entity):  # without the module's name before it
    entity._name, entity._instantiated_in = entity._name.split(".")[-1], ""
    return entity
"""
Run = Callable[..., str]


@pytest.fixture
def flow(tmp_path: Path) -> Run:
    """Run a script that observes flytekit, while nobody listens; returns what it prints."""

    def run(source: str, head: str = HEAD, **settings: str) -> str:
        nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
        environment = clean_environment(**{**nobody, "PYTHONPATH": SOURCES, "ROTA_HOME": str(tmp_path / "home"), **settings})
        script = tmp_path / "flow.py"
        script.write_text(head + source)
        command = [python_of("flytekit"), str(script)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def told(home: Path) -> dict[str, Seen]:
    """The runs by their workflows; and nothing went wrong inside rota."""
    assert not (home / "errors.jsonl").exists(), (home / "errors.jsonl").read_text()
    return {run.workflow: run for run in seen(home)}


def states(run: Seen) -> dict[str, list[str]]:
    """The last states of its tasks' instances."""
    return {name: [states[max(states)] for states in task.attempts.values()] for name, task in run.tasks.items()}


def test_all_that_a_workflow_calls_belongs_to_its_run(flow: Run, tmp_path: Path) -> None:
    """Workflows inside it, tasks that call tasks, tasks over a list; a task by itself is a run; the result is what it was."""
    source = """
@named
@task
def extract(part: int) -> int:
    return part

@named
@dynamic
def spread(parts: int) -> int:
    for part in range(parts):
        extract(part=part)
    return parts

@named
@workflow
def inner(part: int) -> int:
    return extract(part=part)

@named
@workflow
def nightly() -> int:
    spread(parts=2)
    map_task(extract)(part=[7, 8])
    return inner(part=3)

print(nightly(), extract(part=1))
"""
    assert flow(source) == "3 1\n"
    runs = told(tmp_path / "home")
    assert set(runs) == {"nightly", "extract"}
    assert all(run.states == ["running", "succeeded"] for run in runs.values())
    assert states(runs["extract"]) == {"extract": ["succeeded"]}
    found = states(runs["nightly"])
    assert (found["extract"], found["spread"]) == (3 * ["succeeded"], ["succeeded"])
    assert len(found) == 3  # and the map as one


def test_what_never_ran_is_told_by_the_graph(flow: Run, tmp_path: Path) -> None:
    """What needs the failed one, and what needs that; not what needs neither, which nobody called either."""
    source = """
@named
@task
def extract() -> int:
    raise ValueError("row 7")
    return 1

@named
@task
def load(rows: int) -> int:
    return rows

@named
@task
def report(rows: int) -> int:
    return rows

@named
@task
def tidy() -> int:
    return 1

@named
@workflow
def nightly() -> int:
    loaded = load(rows=extract())
    tidy()
    return report(rows=loaded)

with contextlib.suppress(ValueError):
    nightly()
"""
    flow(source)
    run = told(tmp_path / "home")["nightly"]
    assert run.states == ["running", "failed"]
    assert states(run) == {"extract": ["failed"], "load": ["upstream_failed"], "report": ["upstream_failed"]}


def test_an_exit_in_a_task_is_no_interruption(flow: Run, tmp_path: Path) -> None:
    """flytekit makes a SystemExit of Ctrl-C; one that a task raises is its failure."""
    source = """
@named
@task
def extract() -> None:
    sys.exit(3)

with contextlib.suppress(SystemExit):
    extract()
"""
    flow(source)
    run = told(tmp_path / "home")["extract"]
    assert (run.states, run.tasks["extract"].errors) == (["running", "failed"], ["SystemExit: 3"])


@pytest.mark.parametrize("settings", [{"ROTA_HOME": "/dev/null/nowhere"}, {"ROTA_DISABLED": "1"}], ids=str)
def test_a_run_is_as_it_is_without_rota(flow: Run, settings: dict[str, str]) -> None:
    """Where rota's home cannot be written, and where it is off: the same result, and nothing printed."""
    source = """
@task
def extract() -> int:
    return 7

print(extract())
"""
    assert flow(source, **settings) == "7\n"


def test_every_phase_of_flyte_is_known(flow: Run) -> None:
    """The table has each word that Flyte has, for runs and for tasks."""
    source = """
from flyteidl.core.execution_pb2 import NodeExecution, TaskExecution, WorkflowExecution
print(*(name.lower() for name in WorkflowExecution.Phase.keys()))
print(*(name.lower() for name in TaskExecution.Phase.keys() + NodeExecution.Phase.keys()))
"""
    table = json.loads((TOP / "integrations" / "rota_integrations" / "flytekit" / "states.json").read_text())
    of_runs, of_tasks = flow(source, head="").splitlines()
    assert set(of_runs.split()) <= set(table["run"])
    assert set(of_tasks.split()) <= set(table["task"])
