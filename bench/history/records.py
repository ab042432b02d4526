"""What a run says in log records: its events, what its script logged, and the errors in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.history.run import Line, Pairs, Run, S, uuid7
from bench.history.tasks import Attempt, Part
from rota._run import _PHASE, _RESULT
from rota.wire import events, names
from rota_collector.journal import Signal

ERRORS = {  # type, message, the line that raised it, and where in a library, if there
    "refused": (
        "psycopg.OperationalError",
        'connection refused\n\tIs the server running on host "db-1" (10.2.0.14) and accepting TCP/IP connections on port 5432?',
        "with psycopg.connect(DSN) as connection:",
        ("psycopg/connection.py", 117, "connect", "raise last_ex.with_traceback(None)"),
    ),
    "missing": (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/data/marts/orders/_SUCCESS'",
        "with open(MARKER):",
        None,
    ),
    "timeout": (
        "httpx.ReadTimeout",
        "The read operation timed out",
        "answer = client.get(URL, timeout=10)",
        ("httpx/_transports/default.py", 118, "map_httpcore_exceptions", "raise mapped_exc(message) from exc"),
    ),
    "value": ("ValueError", "could not convert string to float: 'n/a'", "price = float(row['price'])", None),
    "disk": ("OSError", "[Errno 28] No space left on device", "target.write(chunk)", None),
    "stripe": (
        "stripe.APIConnectionError",
        "Unexpected error communicating with Stripe: connection reset by peer",
        "stripe.Charge.create(**charge)",
        ("stripe/_http_client.py", 741, "_handle_request_error", "raise APIConnectionError(msg)"),
    ),
}
_SEVERITY = {"INFO": 9, "WARN": 13, "ERROR": 17}


def state_record(run: Run, state: str, at_ns: int, attempt: int, root: str, more: Pairs) -> str:
    pairs = {
        names.EVENT_ID: uuid7(at_ns, run.chance), names.WORKFLOW: run.of.name, names.RUN_ID: run.run_id, names.STATE: state,
        names.ATTEMPT: attempt, names.SOURCE: run.of.source, names.RUN_SCOPE: "process",
        "cicd.pipeline.run.state": _PHASE.get(state, "finalizing"), **more,
    }  # fmt: skip
    return events.log_record(at_ns, names.RUN_STATE_EVENT, run.trace_id, root, pairs)


def task_record(run: Run, part: Part) -> str:
    pairs = {
        names.EVENT_ID: part.span_id, names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.TASK_NAME: part.name,
        names.TASK_STATE: "running", names.TASK_PARENT_ID: part.parent,
    }  # fmt: skip
    return events.log_record(part.started_ns, names.TASK_STATE_EVENT, run.trace_id, part.span_id, pairs)


def log_record(run: Run, at_ns: int, span: str, severity: str, text: str, pairs: Pairs | None = None) -> str:
    record = events.log_record(at_ns, "", run.trace_id, span, pairs or {})
    body = events.text(text)
    return f'{record[:-1]},"severityNumber":{_SEVERITY[severity]},"severityText":"{severity}","body":{{"stringValue":{body}}}}}'


def script_records(run: Run, over: Sequence[Part]) -> list[str]:
    """What the script itself logged while it worked."""
    if run.of.source == "exec":
        return []
    records = [log_record(run, run.started_ns + S, run.root, "INFO", f"{run.of.name} starts on {run.host}")]
    for part in over:
        seconds = (part.ended_ns - part.started_ns) / S
        if part.error and not part.scope:
            kind, message = ERRORS[part.error][:2]
            level = "ERROR" if part.depth == 1 else "WARN"
            records.append(log_record(run, part.ended_ns, part.span_id, level, f"{part.name} failed: {kind}: {message}"))
        elif part.depth == 1:
            what = f"{part.pairs['rows']:,} rows" if "rows" in part.pairs else "done"
            records.append(log_record(run, part.ended_ns, part.span_id, "INFO", f"{part.name}: {what} in {seconds:.1f} s"))
    return records + [log_record(run, run.started_ns + 2 * S, run.root, "WARN", text) for text in run.messages]


def output_record(run: Run, attempt: Attempt) -> str:
    """The tail of a command's output, as ``rota exec --tail`` keeps it."""
    last = ERRORS[attempt.error][1] if attempt.error else attempt.state
    text = f"{run.of.name}: started on {run.host}\n{run.of.name}: {last}\n"
    pairs = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.OUTPUT_BYTES: len(text)}
    record = events.log_record(attempt.ended_ns, names.OUTPUT_EVENT, run.trace_id, attempt.root, pairs)
    return record[:-1] + ',"body":{"stringValue":%s}}' % events.text(text)


def logs_line(run: Run, records: Sequence[str]) -> Line:
    return Signal.LOGS_JSON, events.logs_line(run.resource, run.scope, records).encode("ascii")


# -- how it ended, as attributes -----------------------------------------------------------------------------------------


def end_pairs(run: Run, attempt: Attempt) -> dict[str, Any]:
    """What an end event says beside its state."""
    pairs: dict[str, Any] = {names.RUN_STARTED: attempt.started_ns, names.PIPELINE_RESULT: _RESULT.get(attempt.state)}
    if attempt.state == "crashed":  # nobody saw it: the next shipper on that host infers it
        return {**pairs, names.SOURCE: "agent", names.REASON: "vanished"}
    if run.of.source == "exec":
        pairs |= {**_resources(run), names.REASON: "exit", names.NAME_SOURCE: None if run.declares else run.named_by}
    if attempt.state == "cancelled":
        return {**pairs, names.REASON: "sigterm", names.PROCESS_EXIT_CODE: 143, names.PROCESS_SIGNAL: "SIGTERM"}
    if attempt.error:
        pairs |= {names.PROCESS_EXIT_CODE: 1, names.REASON: pairs.get(names.REASON, "exception")}
        pairs |= exception_pairs(run, attempt.error)
        return {**pairs, names.ERROR_TYPE: pairs[names.EXCEPTION_TYPE]}
    return {**pairs, names.PROCESS_EXIT_CODE: 0 if attempt.state == "succeeded" else 1}


def _resources(run: Run) -> dict[str, Any]:
    """What the kernel tells ``rota exec`` of a command that ended."""
    seconds, chance = run.took_ns / S, run.chance_of("resources")
    return {
        names.CPU_USER: round(seconds * chance.uniform(0.2, 0.6), 3),
        names.CPU_SYSTEM: round(seconds * chance.uniform(0.02, 0.1), 3),
        names.MEMORY_PEAK: chance.randrange(60, 600) << 20,
        names.BLOCKS_READ: chance.randrange(0, 90_000) & ~7,
        names.BLOCKS_WRITTEN: chance.randrange(800, 400_000) & ~7,
    }


def exception_pairs(run: Run, key: str, step: str = "") -> dict[str, Any]:
    """The exception attributes; one that ``rota exec`` saw has the end of the output as its message, and no stack."""
    kind, message, code, library = ERRORS[key]
    if run.of.source == "exec":
        return {names.EXCEPTION_TYPE: "exit", names.EXCEPTION_MESSAGE: f"{run.of.name}: {message}"}
    file, step = run.code_file, step or (run.of.steps[run.failing_step(key)].name if run.of.steps else "work")
    frames = [(file, 141, "<module>", "main()"), (file, 133, "main", f"{step}(rows)"), (file, 97, step, code)]
    if library is not None:
        frames.append((f"/opt/pipelines/.venv/lib/python3.11/site-packages/{library[0]}", *library[1:]))
    shown = "".join(f'  File "{path}", line {line}, in {name}\n    {text}\n' for path, line, name, text in frames)
    stack = f"Traceback (most recent call last):\n{shown}{kind}: {message}\n"
    return {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message, names.EXCEPTION_STACK: stack}
