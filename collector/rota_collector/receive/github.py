"""GitHub Actions: ``POST /api/v1/github`` keeps the webhooks ``workflow_run`` and ``workflow_job``, and takes all others.

GitHub sends no header of ours: the key stands in the address (``/api/v1/github?key=KEY``), as that of a ping does. Deliveries
come in any order and more than once: ids are made of GitHub's names, so what is told again is told once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs

import msgspec

from rota.rules.fold import RESULTS, TERMINAL
from rota.wire import events, ids, names
from rota_collector import __version__
from rota_collector.clock import Clock
from rota_collector.domain import github
from rota_collector.domain.github import Step, Told
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.errors import Malformed
from rota_collector.journal import Journal, Signal
from rota_collector.receive.doors import Asker, Door, Refused, Request, Said, bearer, event_id
from rota_collector.store.keys import PING, Keys

SOURCE = "github"
PATH = re.compile(r"/api/v1/github/?")
_HOW = "`rota key create --scope ping` makes one that may stand there"
_BAD = ("failed", "timed_out", "crashed")


def door(journal: Journal, keys: Keys, clock: Clock, max_body: int, rates: Rates = NO_LIMIT) -> Door:
    """The ASGI application."""
    return Door(journal, keys, clock, max_body, _key_of, _understand, rates)


def _key_of(request: Request) -> str:
    in_address = parse_qs(request.query.decode("latin-1")).get("key")
    return in_address[0] if in_address else bearer(request)


def _understand(request: Request, asker: Asker) -> Said:
    if asker.key is not None and asker.key.scope != PING and not bearer(request):
        raise Refused(403, "not_allowed", "this key may do more than tell of runs: it has no place in an address", _HOW)
    kind = request.headers.get(b"x-github-event", b"").decode("latin-1")
    if not kind:
        raise Malformed("there is no header X-GitHub-Event: GitHub's webhooks have one", "X-GitHub-Event")
    told = github.event(kind, _json(request.body))
    if told is None:
        return Said([], {"kept": 0, "ignored": kind})
    asker.check(told.workflow)
    return Said(list(_requests(told, asker)), {"kept": 1})


def _json(body: bytes) -> object:
    """A webhook's body; the content type ``application/x-www-form-urlencoded`` has it in a field."""
    if body.startswith(b"payload="):
        body = parse_qs(body.decode("latin-1")).get("payload", [""])[0].encode("latin-1")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {error}") from None


def _requests(told: Told, asker: Asker) -> Iterator[tuple[Signal, str]]:
    run_id = str(asker.run_id(ids.uuid_of(ids.identity(SOURCE, told.key)), told.workflow))
    resource = events.resource({names.SERVICE_NAME: told.workflow})
    scope = events.scope(__version__, {names.RUN_ID: run_id, names.WORKFLOW: told.workflow})
    is_over = told.state.name in TERMINAL
    if is_over:  # the spans first: whoever sees that the run is over sees what it did
        spans = _job_spans(told, run_id) if told.job else [_run_span(told, run_id)]
        yield Signal.TRACES_JSON, events.spans_line(resource, {scope: spans})
    if not told.job or not is_over:
        record = _job_record(told, run_id) if told.job else _run_record(told, run_id)
        yield Signal.LOGS_JSON, events.logs_line(resource, scope, [record])


def _run_record(told: Told, run_id: str) -> str:
    state = told.state
    pairs = {
        names.EVENT_ID: event_id((SOURCE, run_id, told.attempt, state.raw, told.at_ns)), names.RUN_ID: run_id,
        names.RUN_STARTED: told.started_ns, **_pairs(told),
    }  # fmt: skip
    return events.log_record(told.at_ns, names.RUN_STATE_EVENT, run_id.replace("-", ""), ids.span_id(run_id, told.attempt), pairs)


def _run_span(told: Told, run_id: str) -> str:
    trace_id, begun_ns = run_id.replace("-", ""), told.at_ns if told.started_ns is None else told.started_ns
    tail = events.link(trace_id, ids.span_id(run_id, told.attempt - 1)) if told.attempt > 1 else ""
    return events.span(
        trace_id, ids.span_id(run_id, told.attempt), "", events.text(told.workflow), events.KIND_SERVER, begun_ns, told.at_ns,
        events.attributes({names.RUN_ID: run_id, **_pairs(told)}), tail + _status(told.state, told.at_ns),
    )  # fmt: skip


def _pairs(told: Told) -> dict[str, object]:
    state = told.state
    return {
        names.WORKFLOW: told.workflow, names.STATE: state.name, names.RAW_STATE: state.raw, names.REASON: state.reason,
        names.ATTEMPT: told.attempt, names.SOURCE: SOURCE, names.PIPELINE_RESULT: RESULTS.get(state.name), **told.facts,
    }  # fmt: skip


def _job_record(told: Told, run_id: str) -> str:
    """That a job has begun, or waits."""
    span_id, parent = _place(told, run_id)
    pairs = {
        names.EVENT_ID: event_id((SOURCE, run_id, told.attempt, told.job_id, told.state.raw)), names.RUN_ID: run_id,
        names.WORKFLOW: told.workflow, names.TASK_PARENT_ID: parent, **_job_pairs(told),
    }  # fmt: skip
    return events.log_record(told.at_ns, names.TASK_STATE_EVENT, run_id.replace("-", ""), span_id, pairs)


def _job_spans(told: Told, run_id: str) -> list[str]:
    """A job that is over, and its steps below it."""
    trace_id, (span_id, parent) = run_id.replace("-", ""), _place(told, run_id)
    begun_ns = told.at_ns if told.started_ns is None else told.started_ns
    job = events.span(
        trace_id, span_id, parent, events.text(told.job or ""), events.KIND_INTERNAL, begun_ns, told.at_ns,
        events.attributes(_job_pairs(told)), _status(told.state, told.at_ns),
    )  # fmt: skip
    return [job, *(_step_span(step, trace_id, span_id) for step in told.steps)]


def _step_span(step: Step, trace_id: str, parent: str) -> str:
    pairs = {names.RAW_STATE: step.state.raw, "github.step.number": step.number}
    return events.span(
        trace_id, ids.span_id(parent, step.number, step.name), parent, events.text(step.name), events.KIND_INTERNAL,
        step.started_ns, step.ended_ns, events.attributes(pairs), _status(step.state, step.ended_ns),
    )  # fmt: skip


def _place(told: Told, run_id: str) -> tuple[str, str]:
    return ids.span_id(run_id, told.job, told.job_id, told.attempt, 1), ids.span_id(run_id, told.attempt)


def _job_pairs(told: Told) -> dict[str, object]:
    state = told.state
    return {
        names.TASK_NAME: told.job, names.TASK_STATE: state.name, names.RAW_STATE: state.raw, names.REASON: state.reason,
        names.TASK_RESULT: RESULTS.get(state.name), **told.facts,
    }  # fmt: skip


def _status(state: github.State, at_ns: int) -> str:
    return events.failed_tail(at_ns, state.raw, {}) if state.name in _BAD else ""
