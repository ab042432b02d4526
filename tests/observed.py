"""What an observer told, read back from the spool: runs folded as the collector folds them, tasks by their attempts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts import plain

from rota.agent.bury import bury_unwatched
from rota.agent.spool import Spool, stem_of
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.journal import Record, Signal

# What tells tasks of a name apart.
_INSTANCES = ("instance", "luigi.task_id", "dbt.unique_id", "dbt.batch", "dagster.step_key", "flyte.action_name")
_RESULTS = {"skip": "skipped", "failure": "failed", "error": "failed", "timeout": "timed_out", "cancellation": "cancelled"}


@dataclass
class Task:
    """All that was told of one task of a run: by instance, the states of its attempts, and its errors."""

    attempts: dict[str, dict[int, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def last(self) -> set[str]:
        """The last state of each instance."""
        return {states[max(states)] for states in self.attempts.values()}


@dataclass
class Seen:
    """One run, as it was told; ``declared`` with it, and ``scheduled`` beside it."""

    workflow: str
    states: list[str]
    declared: dict[str, Any]
    raw: list[str]
    tasks: dict[str, Task]
    scheduled: dict[str, Any]


def seen(home: Path) -> list[Seen]:
    """The runs in a spool whose processes are over; who was killed is buried as an agent would."""
    spool = Spool(str(home / "spool"))
    for stem in sorted({stem_of(name) for name in spool.names(spool.live)}):
        bury_unwatched(spool, stem)
    lines = _lines(home)
    scheduled = schedules(home)
    return [_seen(events, lines, scheduled.get(events[0].workflow, [{}])[-1]) for events in _by_run(lines).values()]


def schedules(home: Path) -> dict[str, list[dict[str, Any]]]:
    """By workflow, what was told of its schedule without a run, one after the other."""
    found: dict[str, list[dict[str, Any]]] = {}
    for told in sorted(to_rows.schedules(_records(_lines(home))), key=lambda told: told.at_ns):
        found.setdefault(told.workflow, []).append(told.declared._asdict())
    return found


def _lines(home: Path) -> list[bytes]:
    return [line for path in sorted((home / "spool").rglob("*.jsonl")) for line in path.read_bytes().splitlines()]


def _records(lines: list[bytes]) -> list[Record]:
    return [Record(0, 0, Signal.LOGS_JSON, 0, line) for line in lines if b"resourceLogs" in line]


def _by_run(lines: list[bytes]) -> dict[str, list[Any]]:
    runs: dict[str, list[Any]] = {}
    for event in sorted(to_rows.run_events(_records(lines)), key=lambda event: (event.at_ns, event.state in TERMINAL)):
        runs.setdefault(event.run_id, []).append(event)
    return dict(sorted(runs.items(), key=lambda each: each[1][0].at_ns))


def _seen(events: list[Any], lines: list[bytes], scheduled: dict[str, Any]) -> Seen:
    run_id, tasks = events[0].run_id, dict[str, Task]()
    for attributes, span in _spans(lines):
        if attributes.get(names.RUN_ID) == run_id and names.TASK_NAME in attributes:
            task = tasks.setdefault(attributes[names.TASK_NAME], Task())
            instance = " ".join(str(attributes[name]) for name in _INSTANCES if name in attributes)
            task.attempts.setdefault(instance, {})[attributes.get(names.ATTEMPT, 1)] = _state(attributes, span)
            task.errors += [_error(event) for event in span.get("events", ()) if event["name"] == "exception"]
    states = list(dict.fromkeys(event.state for event in events))
    declared = next((event.declared._asdict() for event in events if event.declared), {})
    return Seen(events[0].workflow, states, declared, [event.raw_state for event in events], tasks, scheduled)


def _spans(lines: list[bytes]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for line in lines:
        for resource in json.loads(line).get("resourceSpans", ()):
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    yield _pairs(scope["scope"]) | _pairs(span), span


def _pairs(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: plain(pair["value"]) for pair in holder["attributes"]}


def _state(attributes: dict[str, Any], span: dict[str, Any]) -> str:
    told = attributes.get(names.TASK_STATE) or _RESULTS.get(attributes.get(names.TASK_RESULT, ""))
    return str(told or ("failed" if span.get("status", {}).get("code") == 2 else "succeeded"))


def _error(event: dict[str, Any]) -> str:
    pairs = _pairs(event)
    return f"{pairs.get(names.EXCEPTION_TYPE)}: {pairs.get(names.EXCEPTION_MESSAGE)}"
