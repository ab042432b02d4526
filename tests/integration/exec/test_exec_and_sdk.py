"""A script with `rota.watch()` under `rota exec`: with the same name, or none, one run; with another, a child run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from execs import environment, run_exec, said_by
from scripts import Outcome

Write = Callable[[str, str], Path]
FAILING = "import rota\nrota.watch({})\nwith rota.task('load'):\n    1 / 0\n"
FINE = "import rota\nrota.watch({})\nwith rota.task('load'):\n    rota.record(rows=3)\n"


@pytest.fixture
def script(tmp_path: Path) -> Write:
    """Writes a script; returns where."""

    def write(name: str, source: str) -> Path:
        (tmp_path / name).write_text(source)
        return tmp_path / name

    return write


def states(outcome: Outcome) -> list[dict[str, Any]]:
    """The run events."""
    return [event for event in outcome.events if event["event"] == "rota.run.state"]


def runs(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    """Run id -> its events."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in states(outcome):
        found.setdefault(event["cicd.pipeline.run.id"], []).append(event)
    return found


def folded(outcome: Outcome) -> Any:
    """The one run, as the collector derives it."""
    from rota.rules import fold

    (events,) = runs(outcome).values()
    run = None
    for event in reversed(events):
        state = fold.RunEvent(
            event["rota.event.id"], event["cicd.pipeline.run.id"], event["cicd.pipeline.name"], event["rota.run.state"],
            int(event["timeUnixNano"]), source=event["rota.source"], reason=event.get("rota.state.reason"),
            exit_code=event.get("process.exit.code"), error_type=event.get("error.type"),
            error_message=event.get("exception.message"), error_stack=event.get("exception.stacktrace"),
        )  # fmt: skip
        run = fold.fold(run, state)
    return run


@pytest.mark.parametrize("given", ["", "'job'"])
def test_the_same_run(home: Path, script: Write, python: str, given: str) -> None:
    """Without a name or with exec's own, the script is part of exec's run: its tasks are in it, exec's word ends it."""
    outcome = run_exec("--name", "job", python, str(script("any.py", FINE.format(given))), home=home, python=python)
    assert (outcome.code, outcome.stderr, outcome.errors) == (0, b"", "")
    assert len(runs(outcome)) == 1
    assert [event["rota.run.state"] for event in said_by(outcome, "exec")] == ["running", "succeeded"]
    assert {event["rota.run.state"] for event in said_by(outcome, "sdk")} == {"running"}
    task, root = sorted(outcome.spans, key=lambda span: span["name"] == "job")
    assert (task["name"], task["parentSpanId"], task["traceId"]) == ("load", root["spanId"], root["traceId"])


def test_another_name_is_a_child_run(home: Path, script: Write) -> None:
    """With another name the script is a run of its own, whose parent is exec's."""
    outcome = run_exec("--name", "job", sys.executable, str(script("any.py", FINE.format("'step'"))), home=home)
    child, parent = said_by(outcome, "sdk"), said_by(outcome, "exec")
    assert [event["rota.run.state"] for event in child] == ["running", "succeeded"]
    assert child[0]["cicd.pipeline.name"] == "step"
    assert {event["rota.run.parent.id"] for event in child} == {parent[0]["cicd.pipeline.run.id"]}


def test_the_scripts_error_is_kept(home: Path, script: Write, python: str) -> None:
    """The script's error has its type, message and stack; the run failed by what exec saw, with and without --tail."""
    path = script("any.py", FAILING.format(""))
    for number, options in enumerate(((), ("--tail", "4096"))):
        outcome = run_exec(*options, python, str(path), home=home.with_name(f"home{number}"), python=python,
                           env=environment(home.with_name(f"home{number}")))  # fmt: skip
        run = folded(outcome)
        assert (outcome.code, run.state, run.source, run.exit_code) == (1, "failed", "exec", 1)
        assert (run.error_type, run.error_message) == ("ZeroDivisionError", "division by zero")
        assert "1 / 0" in run.error_stack


def test_the_exit_status_outranks_the_script(home: Path, script: Write) -> None:
    """A script that reports an error under a shell line that succeeds is a run that succeeded."""
    path = script("any.py", FAILING.format(""))
    run = folded(run_exec("-c", f"{sys.executable} {path} || true", home=home))
    assert (run.state, run.exit_code) == ("succeeded", 0)


def test_through_a_shell(home: Path, script: Write) -> None:
    """Every script of a shell line joins the one run, and none of them ends it before the line has ended."""
    first, second = script("first.py", FINE.format("")), script("second.py", FAILING.format(""))
    outcome = run_exec("-c", f"cd / && env A=1 {sys.executable} {first} && {sys.executable} {second}", home=home)
    run = folded(outcome)
    assert (outcome.code, run.state, run.error_type) == (1, "failed", "ZeroDivisionError")
    assert {event["rota.run.state"] for event in said_by(outcome, "sdk")} == {"running"}
    assert sorted(span["name"] for span in outcome.spans) == ["first", "load", "load"]


def test_what_a_joined_script_starts(home: Path, script: Write) -> None:
    """A script that a joined script starts is a child run, not a part."""
    script("inner.py", FINE.format(""))
    outer = script(
        "outer.py", "import rota, subprocess, sys\nrota.watch()\nsubprocess.run([sys.executable, 'inner.py'], check=True)\n"
    )
    outcome = run_exec(sys.executable, str(outer), home=home, cwd=outer.parent)
    assert (outcome.code, outcome.errors) == (0, "")
    inner = [event for event in states(outcome) if event["cicd.pipeline.name"] == "inner"]
    assert [event["rota.run.state"] for event in inner] == ["running", "succeeded"]
    assert {event["rota.run.parent.id"] for event in inner} == {said_by(outcome, "exec")[0]["cicd.pipeline.run.id"]}


def test_what_the_script_declares(home: Path, script: Write) -> None:
    """A joined script's schedule reaches the collector by an event of its own."""
    path = script("any.py", "import rota\nrota.watch(schedule='0 2 * * *', tz='Europe/Berlin', grace='15m')\n")
    outcome = run_exec("--name", "etl", sys.executable, str(path), home=home)
    (declared,) = [event for event in said_by(outcome, "sdk") if event.get("rota.schedule.spec")]
    assert (declared["rota.schedule.tz"], declared["rota.schedule.grace"]) == ("Europe/Berlin", "15m")
    assert declared["cicd.pipeline.name"] == "etl"


@pytest.mark.parametrize("options", [(), ("--name", "etl"), ("--schedule", "every 5m")], ids=str)
@pytest.mark.parametrize("given", ["", "schedule='0 2 * * *'"])
def test_one_run_declares_once(home: Path, script: Write, options: tuple[str, ...], given: str) -> None:
    """One event of a run declares, whoever speaks, so that no policy changes to and fro: exec's options come before the code."""
    path = script("any.py", f"import rota\nrota.watch({given})\n")
    outcome = run_exec(*options, sys.executable, str(path), home=home)
    (declared,) = [event for event in states(outcome) if event.get("rota.workflow.named_by") or event.get("rota.schedule.spec")]
    assert declared["rota.workflow.named_by"] == ("given" if "--name" in options else "script")
    assert declared.get("rota.schedule.spec") == ("every 5m" if "--schedule" in options else "0 2 * * *" if given else None)
    assert outcome.errors == ""


def test_a_part_that_is_killed(home: Path, script: Write) -> None:
    """A joined script that vanishes does not end the run: who finds its spool says nothing for it."""
    from rota.agent import ends

    path = script("any.py", "import os, rota\nrota.watch()\nos.kill(os.getpid(), 9)\n")
    outcome = run_exec("-c", f"{sys.executable} {path}; exit 0", home=home)
    assert (outcome.code, folded(outcome).state) == (0, "succeeded")
    for file in (home / "spool").rglob("*.logs.jsonl"):
        assert ends.end_lines(ends.read(file.read_bytes().splitlines(keepends=True)), None, 1) == []
