"""OpenLineage: ``POST /api/v1/lineage``, one event or a list of them, from any OpenLineage client.

A run event becomes a run event of ours; what the last event of a run says of its inputs and outputs becomes a span a dataset.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import msgspec

from rota.wire import events, names
from rota_collector import __version__
from rota_collector.clock import Clock
from rota_collector.domain import lineage
from rota_collector.domain.lineage import Dataset, LineageEvent
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.errors import Malformed
from rota_collector.journal import Journal, Signal
from rota_collector.receive.doors import Asker, Door, Request, Said, bearer, event_id
from rota_collector.store.keys import Keys

SOURCE = "openlineage"
PATH = re.compile(r"/api/v1/lineage/?")


def door(journal: Journal, keys: Keys, clock: Clock, max_body: int, rates: Rates = NO_LIMIT) -> Door:
    """The ASGI application."""
    return Door(journal, keys, clock, max_body, bearer, _understand, rates)


def _understand(request: Request, asker: Asker) -> Said:
    try:
        said = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {error}") from None
    told = [found for each in (said if isinstance(said, list) else [said]) if (found := lineage.event(each)) is not None]
    requests: list[tuple[Signal, str]] = []
    for each in told:
        asker.check(each.workflow)
        requests += _requests(each, asker)
    return Said(requests, {"kept": len(told)}, 201)


def _requests(told: LineageEvent, asker: Asker) -> list[tuple[Signal, str]]:
    run_id = str(asker.run_id(told.run_id, told.workflow))
    resource = events.resource({names.SERVICE_NAME: told.workflow})
    scope = events.scope(__version__, {names.RUN_ID: run_id, names.WORKFLOW: told.workflow})
    found = [(Signal.LOGS_JSON, events.logs_line(resource, scope, [_record(told, run_id)]))]
    if told.is_last and told.datasets:
        # The datasets first: whoever sees that the run is over sees what it did.
        spans = [_span(each, told, run_id) for each in told.datasets]
        found.insert(0, (Signal.TRACES_JSON, events.spans_line(resource, {scope: spans})))
    return found


def _record(told: LineageEvent, run_id: str) -> str:
    """The state of the run; without one, a plain event of it."""
    kind, message, stack = told.error or (None, None, None)
    has_failed = told.state == "failed"
    pairs: dict[str, Any] = {
        names.EVENT_ID: event_id((SOURCE, run_id, told.type, told.at_ns)),
        names.WORKFLOW: told.workflow,
        names.RUN_ID: run_id,
        names.STATE: told.state,
        names.RAW_STATE: told.type,
        names.ATTEMPT: 1,
        names.SOURCE: SOURCE,
        names.PARENT_RUN_ID: str(told.parent_run_id) if told.parent_run_id else None,
        names.SLOT: told.slot_ns,
        names.ERROR_TYPE: kind if has_failed else None,
        names.EXCEPTION_MESSAGE: message if has_failed else None,
        names.EXCEPTION_STACK: stack if has_failed else None,
        names.ENGINE_NAME: told.engine[0],
        names.ENGINE_VERSION: told.engine[1],
        names.PRODUCER: told.producer,
    }
    name = names.RUN_STATE_EVENT if told.state else names.LINEAGE_EVENT
    return events.log_record(told.at_ns, name, run_id.replace("-", ""), "", pairs)


def _span(dataset: Dataset, told: LineageEvent, run_id: str) -> str:
    """A dataset that the run read or wrote; when in its time it did is not told."""
    identity = blake2b(f"{run_id}|{dataset.access}|{dataset.name}".encode(), digest_size=8).hexdigest()
    pairs = {
        names.DATASET_NAME: dataset.name,
        names.DATASET_ACCESS: dataset.access,
        names.DATASET_ROWS: dataset.rows,
        names.DATASET_BYTES: dataset.size,
        names.SOURCE: SOURCE,
    }
    label = events.text(events.short(f"{dataset.access} {dataset.name}"))
    trace_id, at_ns = run_id.replace("-", ""), told.at_ns
    return events.span(trace_id, identity, "", label, events.KIND_INTERNAL, at_ns, at_ns, events.attributes(pairs))
