"""What a run says from its start to its end.

It is OTLP-JSON as the SDK, ``rota exec`` and the agent write it, rendered by ``rota.wire.events`` like theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.history.cast import text_of
from bench.history.records import (
    end_pairs,
    exception_pairs,
    log_record,
    logs_line,
    output_record,
    script_records,
    state_record,
    task_record,
)
from bench.history.run import Line, Run, S
from bench.history.tasks import Attempt, Part, attempts_of, parts_of
from rota.wire import events, names
from rota_collector.journal import Signal


def beginning(run: Run) -> Line:
    """The event that it starts, with what its code declares."""
    declared: dict[str, Any] = {names.TAGS: list(run.of.tags) or None}
    if run.of.source == "sdk":
        declared[names.CODE_FILE] = run.code_file
    else:
        declared[names.PROCESS_COMMAND] = f"/opt/bin/{run.of.name}.sh"
    if run.of.source == "sdk" or run.declares:
        declared[names.NAME_SOURCE] = run.named_by
    if run.declares:
        when = run.of.schedule
        declared |= {names.SCHEDULE_SPEC: text_of(when), names.SCHEDULE_TZ: when.get("tz"), names.SCHEDULE_GRACE: run.of.grace}
    return logs_line(run, [state_record(run, "running", run.started_ns, 1, run.root, declared)])


def ending(run: Run, now_ns: int) -> Iterator[Line]:
    """All that it says after its start until ``now_ns``; its end too, if it has come by then."""
    attempts, is_over, until_ns = list(attempts_of(run)), run.ended_ns <= now_ns, min(now_ns, run.ended_ns)
    records: list[str] = []
    if run.is_told_whole:
        parts = [part for each in attempts for part in parts_of(run, each)]
        over = [part for part in parts if part.ended_ns <= until_ns]
        yield from span_lines(run, over, attempts if is_over and run.state != "crashed" else [])
        records += [task_record(run, part) for part in parts if part.depth == 1 and part.started_ns < until_ns]
        records += script_records(run, over)
    if is_over:
        records += [record for each in attempts for record in _attempt_events(run, each, is_last=each is attempts[-1])]
    if records:
        yield logs_line(run, records)
    if run.is_measured:
        yield _metrics_line(run, until_ns)


def sign_of_life(run: Run, at_ns: int) -> Line:
    """What a service says every few minutes: how far it has come."""
    processed, lag_seconds = (at_ns - run.started_ns) // S * 37, round(run.chance.lognormvariate(0.6, 0.5), 1)
    text = f"processed {processed:,} payments, {lag_seconds} s behind"
    return logs_line(run, [log_record(run, at_ns, run.root, "INFO", text, {"processed": processed, "lag_seconds": lag_seconds})])


def _attempt_events(run: Run, attempt: Attempt, *, is_last: bool) -> list[str]:
    """The events of one try: that it starts, when it is not the first, how it ends, and that another will follow."""
    said = [] if attempt.number == 1 else [state_record(run, "running", attempt.started_ns, attempt.number, attempt.root, {})]
    said.append(state_record(run, attempt.state, attempt.ended_ns, attempt.number, attempt.root, end_pairs(run, attempt)))
    if run.of.source == "exec" and run.is_told_whole and run.state != "crashed":
        said.append(output_record(run, attempt))
    return said if is_last else [*said, state_record(run, "retry_wait", attempt.ended_ns, attempt.number, attempt.root, {})]


# -- spans ---------------------------------------------------------------------------------------------------------------


def span_lines(run: Run, parts: Sequence[Part], attempts: Sequence[Attempt]) -> Iterator[Line]:
    """The spans of what is over, those of a scope together; and the root spans, once the run is over."""
    scopes: dict[str, list[str]] = {}
    for part in parts:
        scope = '{"name":"%s"}' % part.scope if part.scope else run.scope
        scopes.setdefault(scope, []).append(_span(run, part))
    for before, each in zip([None, *attempts], attempts, strict=False):
        scopes.setdefault(run.scope, []).append(_root_span(run, each, before))
    if scopes:
        yield Signal.TRACES_JSON, events.spans_line(run.resource, scopes).encode("ascii")


def _span(run: Run, part: Part) -> str:
    own = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name} if part.scope else {names.TASK_NAME: part.name}
    told = exception_pairs(run, part.error, part.name if part.depth < 3 else "connect") if part.error else {}
    if told:
        own |= {names.ERROR_TYPE: told[names.EXCEPTION_TYPE]}
    tail = events.failed_tail(part.ended_ns, told[names.EXCEPTION_MESSAGE], told) if told else ""
    kind = 3 if part.scope else events.KIND_INTERNAL  # 3: CLIENT
    return events.span(
        run.trace_id, part.span_id, part.parent, events.text(part.name), kind, part.started_ns, part.ended_ns,
        events.attributes({**own, **part.pairs}), tail,
    )  # fmt: skip


def _root_span(run: Run, attempt: Attempt, before: Attempt | None) -> str:
    pairs = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.STATE: attempt.state, names.ATTEMPT: attempt.number}
    told = exception_pairs(run, attempt.error) if attempt.error else {}
    is_fine = attempt.state == "succeeded"
    tail = "" if is_fine else events.failed_tail(attempt.ended_ns, told.get(names.EXCEPTION_MESSAGE, ""), told)
    tail += ',"links":[{"traceId":"%s","spanId":"%s"}]' % (run.trace_id, before.root) if before else ""
    more = {key: value for key, value in end_pairs(run, attempt).items() if key not in (names.EXCEPTION_STACK, names.RUN_STARTED)}
    return events.span(
        run.trace_id, attempt.root, "", events.text(run.of.name), events.KIND_SERVER, attempt.started_ns, attempt.ended_ns,
        events.attributes({**more, **pairs}), tail,
    )  # fmt: skip


# -- metrics -------------------------------------------------------------------------------------------------------------


def _metrics_line(run: Run, until_ns: int) -> Line:
    """The process's CPU time and memory, every few seconds."""
    identity = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name}
    step_ns = max(5 * S, run.took_ns // 12)
    times = range(run.started_ns + step_ns, until_ns, step_ns)
    cpu, memory = [], []
    for i, at in enumerate(times):
        where = f'"startTimeUnixNano":"{run.started_ns}","timeUnixNano":"{at}"'
        used = (at - run.started_ns) / S
        for mode, share in (("user", 0.55), ("system", 0.08)):
            pairs = events.attributes({**identity, "cpu.mode": mode})
            cpu.append(f'{{"attributes":[{pairs}],{where},"asDouble":{used * share:.3f}}}')
        size = int((90 + 180 * min(1.0, i / 20)) * run.chance.lognormvariate(0, 0.04)) << 20
        memory.append(f'{{"attributes":[{events.attributes(identity)}],{where},"asInt":"{size}"}}')
    metrics = [
        f'{{"name":"process.cpu.time","unit":"s","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{",".join(cpu)}]}}}}',
        f'{{"name":"process.memory.usage","unit":"By","sum":{{"aggregationTemporality":2,"dataPoints":[{",".join(memory)}]}}}}',
    ]
    scope = '{"scope":{"name":"opentelemetry.instrumentation.system_metrics"},"metrics":[%s]}' % ",".join(metrics)
    text = '{"resourceMetrics":[{"resource":%s,"scopeMetrics":[%s]}]}' % (run.resource, scope)
    return Signal.METRICS_JSON, text.encode("ascii")
