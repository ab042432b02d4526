"""What the end of a process says of its runs: its own events and its exit status in, the missing events out. Pure."""

from __future__ import annotations

import json
import uuid
from typing import Any, Iterable, Mapping

from rota.agent.witness import Ending
from rota.rules import status
from rota.rules.fold import RESULTS, TERMINAL
from rota.wire import events, names

VANISHED, PROCESS_ENDED, OOM_KILLED = "vanished", "process_ended", "oom_killed"


class Told:
    """The latest that a process's events tell of one of its runs."""

    def __init__(self, run_id: str, resource: dict[str, Any], scope: dict[str, Any]) -> None:
        self.run_id, self.resource, self.scope = run_id, resource, scope
        self.workflow = self.parent_run_id = self.trace_id = self.span_id = ""
        self.is_inner = False
        self.is_part = False  # the run is somebody else's, who tells how it ends: `rota exec`'s, or another system's
        self.attempt = 0
        self.started_ns: int | None = None
        self.end_state = ""  # of the latest attempt; empty while it is open
        self.exit_code: int | None = None
        self.is_inferred = False  # the end is somebody's conclusion, not seen

    @property
    def resource_text(self) -> str:
        """The resource as it was told, as JSON."""
        return _compact(self.resource)

    def add(self, at_ns: int, record: dict[str, Any], pairs: dict[str, Any]) -> None:
        """Take one more state of the run; an older attempt's changes nothing."""
        attempt = int(pairs.get(names.ATTEMPT, 1))
        if attempt < self.attempt:
            return
        if attempt > self.attempt:
            self.attempt, self.end_state, self.exit_code, self.started_ns = attempt, "", None, None
        self.workflow = pairs.get(names.WORKFLOW) or self.workflow
        self.parent_run_id = pairs.get(names.PARENT_RUN_ID) or self.parent_run_id
        self.is_inner, self.is_part = pairs.get(names.RUN_SCOPE) == "inner", pairs.get(names.RUN_SCOPE) in ("part", "foreign")
        self.trace_id, self.span_id = _hex(record.get("traceId")), _hex(record.get("spanId"))
        self.started_ns = pairs.get(names.RUN_STARTED) or self.started_ns or at_ns
        if pairs[names.STATE] in TERMINAL:
            self.end_state, self.exit_code = pairs[names.STATE], pairs.get(names.PROCESS_EXIT_CODE)
            self.is_inferred = pairs.get(names.REASON) in (VANISHED, PROCESS_ENDED)


def read(lines: Iterable[bytes]) -> dict[str, Told]:
    """Run id -> what these spool lines tell of it. Lines that cannot be read tell nothing."""
    runs: dict[str, Told] = {}
    for line in lines:
        if b'"rota.run.state"' in line:
            try:
                _read_line(json.loads(line), runs)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
    return runs


def has_open(runs: dict[str, Told]) -> bool:
    """Whether any of them has not ended."""
    return any(not run.end_state and not run.is_part for run in runs.values())


def end_lines(runs: dict[str, Told], ending: Ending | None, at_ns: int, used: Mapping[str, object] | None = None) -> list[bytes]:
    """The spool lines that say how the process's runs ended, as far as its own events do not.

    Args:
        runs: as of ``read``.
        ending: how the process ended; None when nobody knows.
        at_ns: when it ended, or the last sign of life of one that nobody saw end. Unix time in ns.
        used: attributes that say what the process used.
    """
    ends_badly = _ended_badly(runs, ending)
    said = [(run, _verdict(run, ending, ends_badly)) for run in runs.values()]
    return [_line(run, ending, max(at_ns, run.started_ns or 0), used or {}, *words) for run, words in said if words]


def _verdict(run: Told, ending: Ending | None, ends_badly: bool | None) -> tuple[str, str] | None:
    """(state, reason) to add for a run, or None."""
    if run.is_part:
        return None
    if run.is_inner and not run.end_state and ends_badly is not None:
        return ("crashed" if ends_badly else "ended"), PROCESS_ENDED
    if ending is None or run.is_inner:
        return None if run.end_state else ("crashed", VANISHED)
    if not _contradicts(run, ending):
        return None
    return ("crashed", OOM_KILLED) if ending.is_oom else status.outcome(ending.exit_code, ending.signal_name)


def _contradicts(run: Told, ending: Ending) -> bool:
    """Whether the exit status says something that the process itself did not."""
    if run.end_state in ("", "ended") or run.is_inferred:
        return True
    if run.exit_code is not None:
        return run.exit_code != ending.exit_code
    return run.end_state in ("succeeded", "skipped") and ending.exit_code != 0


def _ended_badly(runs: dict[str, Told], ending: Ending | None) -> bool | None:
    """Of the process itself; None when neither the kernel nor its own run tells."""
    if ending is not None:
        return ending.exit_code != 0
    own = [run for run in runs.values() if not run.is_inner and not run.is_part]
    return own[-1].end_state not in ("succeeded", "ended", "skipped") if own else None


def _line(run: Told, ending: Ending | None, at_ns: int, used: Mapping[str, object], state: str, reason: str) -> bytes:
    known = ending if reason not in (VANISHED, PROCESS_ENDED) else None
    pairs: dict[str, object] = {
        names.EVENT_ID: _event_id(run, reason, known),
        names.WORKFLOW: run.workflow,
        names.RUN_ID: run.run_id,
        names.STATE: state,
        names.REASON: reason,
        names.ATTEMPT: run.attempt,
        names.SOURCE: "agent",
        names.RUN_SCOPE: "inner" if run.is_inner else "process",
        names.PARENT_RUN_ID: run.parent_run_id or None,
        names.RUN_STARTED: run.started_ns,
        names.PROCESS_EXIT_CODE: known.exit_code if known else None,
        names.PROCESS_SIGNAL: known.signal_name or None if known else None,
        "cicd.pipeline.run.state": "finalizing",
        names.PIPELINE_RESULT: RESULTS.get(state),
        **({} if run.is_inner else used),
    }
    record = events.log_record(at_ns, names.RUN_STATE_EVENT, run.trace_id, run.span_id, pairs)
    return events.logs_line(run.resource_text, _compact(run.scope), (record,)).encode("ascii")


def _event_id(run: Told, reason: str, known: Ending | None) -> str:
    """The same for everybody who notices the same end, so that a second notice is a duplicate and not another event."""
    word = "exit %d signal %d" % known[:2] if known else reason
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "rota:%s/%d/%s" % (run.run_id, run.attempt, word)))


def _read_line(request: dict[str, Any], runs: dict[str, Told]) -> None:
    for group in request["resourceLogs"]:
        resource = group.get("resource") or {}
        for scoped in group["scopeLogs"]:
            scope = scoped.get("scope") or {}
            inherited = {**_pairs(resource), **_pairs(scope)}
            for record in scoped["logRecords"]:
                if record.get("eventName") == names.RUN_STATE_EVENT:
                    pairs = {**inherited, **_pairs(record)}
                    run_id = pairs[names.RUN_ID]
                    told = runs.setdefault(run_id, Told(run_id, resource, scope))
                    told.add(int(record.get("timeUnixNano", 0)), record, pairs)


def _pairs(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: _plain(pair.get("value") or {}) for pair in holder.get("attributes") or ()}


def _plain(value: dict[str, Any]) -> Any:
    if "intValue" in value:
        return int(value["intValue"])
    return next((value[kind] for kind in ("stringValue", "boolValue", "doubleValue") if kind in value), None)


def _hex(given: object) -> str:
    return given if isinstance(given, str) and not given.strip("0123456789abcdefABCDEF") else ""


def _compact(given: dict[str, Any]) -> str:
    return json.dumps(given, separators=(",", ":"))
