"""What a collector makes of `rota exec`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import CollectorProcess
from execs import environment, words


def observe(collector: CollectorProcess, home: Path, *arguments: str) -> dict[str, Any]:
    """Run a command to its end; its run, the only one there is, once the collector has all of it."""
    env = environment(home, ROTA_ENDPOINT=collector.url)
    subprocess.run(words(*arguments), env=env, check=False, capture_output=True, timeout=60)
    collector.applied_of(home)
    (run,) = collector.all_runs()
    return run


@pytest.mark.parametrize("options", [(), ("--tail", "4k")], ids=["plain", "tail"])
def test_one_run_with_the_scripts_error(
    collector: CollectorProcess, home: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A script under exec is one run with it: its tasks, its declaration, its error with the stack, and exec's exit status."""
    script = tmp_path / "job.py"
    script.write_text(
        "import rota\nrota.watch(max_duration='2h')\n@rota.task\ndef load():\n    raise ValueError('row 7')\nload()\n"
    )
    run = observe(collector, home, *options, sys.executable, str(script))
    assert (run["workflow"], run["state"], run["exit_code"], run["source"]) == ("job", "failed", 1, "exec")
    assert (run["error_type"], run["error_message"]) == ("ValueError", "row 7")
    assert [task["name"] for task in collector.item(f"/runs/{run['id']}/tasks")["items"]] == ["load"]
    assert collector.item("/workflows/job/policy")["declared"]["expect"] == {"max_duration": "2h"}


def test_the_last_lines_are_the_error(collector: CollectorProcess, home: Path) -> None:
    """Of a command that tells no error itself, the last lines of a kept output are the error; the output is a log of the run."""
    run = observe(collector, home, "--tail", "1k", "sh", "-c", "echo 42; echo no space >&2; exit 9")
    assert (run["error_type"], run["error_message"]) == ("exit", "no space")
    logs = collector.item(f"/runs/{run['id']}/logs")["items"]
    assert sorted(log["body"] for log in logs if log["body"]) == ["42\n", "no space\n"]


def test_what_is_declared(collector: CollectorProcess, home: Path) -> None:
    """Schedule, zone, grace, longest duration and tags of the command line are the workflow's policy and the run's tags."""
    options = ("--name", "nightly", "--schedule", "0 2 * * *", "--tz", "Europe/Berlin", "--grace", "15m", "--max-duration", "2h")
    run = observe(collector, home, *options, "--tag", "a", "--tag", "b", "true")
    assert (run["state"], run["tags"]) == ("succeeded", ["a", "b"])
    assert collector.item("/workflows/nightly/policy")["declared"] == {
        "schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"},
        "expect": {"max_duration": "2h"},
    }
