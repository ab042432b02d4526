"""Sentry check-ins: ``POST /api/PROJECT/envelope/``, for any Sentry SDK whose DSN points here: ``http://KEY@HOST:4318/1``.

Check-ins become run events. Errors, transactions and whatever else an SDK sends are taken, counted and not kept: an SDK that is
refused would say so in its job's log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from rota.wire import events, names
from rota_collector import __version__
from rota_collector.clock import Clock
from rota_collector.domain import checkin
from rota_collector.domain.checkin import CHECK_IN, CheckIn
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.journal import Journal, Signal
from rota_collector.receive.doors import Asker, Door, Request, Said, event_id
from rota_collector.receive.ping_runs import uuid7
from rota_collector.store.keys import Keys

SOURCE = "sentry"
PATH = re.compile(r"/api/[0-9]+/envelope/?")
_KEY = re.compile(r"sentry_key\s*=\s*([^,\s]+)")
_OTHERS = ("event", "transaction", "session", "sessions", "client_report", "log", "trace_metric", "statsd", "profile")
_SCOPE = events.scope(__version__, {})


def door(journal: Journal, keys: Keys, clock: Clock, max_body: int, say: Callable[[str], None], rates: Rates = NO_LIMIT) -> Door:
    """The ASGI application. ``say``: for whoever watches the collector, once for each type of what is not kept."""
    return Door(journal, keys, clock, max_body, _key_of, _Understanding(say), rates)


def _key_of(request: Request) -> str:
    """The public key of the DSN: in a header, in the address (JavaScript), or in the envelope."""
    for header in (b"x-sentry-auth", b"authorization"):
        found = _KEY.search(request.headers.get(header, b"").decode("latin-1"))
        if found:
            return found[1]
    in_address = parse_qs(request.query.decode("latin-1")).get("sentry_key")
    return in_address[0] if in_address else checkin.public_key_in(request.body)


class _Understanding:
    """Envelopes → run events; ``ignored`` counts what came and was not kept, by its type."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.ignored: Counter[str] = Counter()

    def __call__(self, request: Request, asker: Asker) -> Said:
        found = list(checkin.items(request.body))
        told = [checkin.check_in(item.payload) for item in found if item.type == CHECK_IN]
        for each in told:
            asker.check(each.workflow)
        requests = [(Signal.LOGS_JSON, _line(each, asker, request.at_ns)) for each in told]
        others = Counter(item.type for item in found if item.type in _OTHERS)
        others["other"] = len(found) - len(told) - others.total()
        return Said(requests, {"ignored": self._ignore(+others)} if +others else {})

    def _ignore(self, others: Counter[str]) -> dict[str, int]:
        for kind in others.keys() - self.ignored.keys():
            self._say(f"Sentry clients send {kind} items, which are not kept: only check-ins are")
        self.ignored += others
        return dict(others)


def _line(said: CheckIn, asker: Asker, at_ns: int) -> str:
    resource = {names.SERVICE_NAME: said.workflow, names.SERVICE_VERSION: said.release, names.ENVIRONMENT: said.environment}
    return events.logs_line(events.resource(resource), _SCOPE, [_record(said, asker, at_ns)])


def _record(said: CheckIn, asker: Asker, at_ns: int) -> str:
    """The state of a run. Check-ins carry no time: it is now, and a last one may say how long ago its run began."""
    told_id = said.check_in_id
    run_id = str(asker.run_id(told_id, said.workflow)) if told_id else uuid7(at_ns)
    duration_ns = None if said.duration_seconds is None else round(said.duration_seconds * 1e9)
    has_failed = said.state == "failed"
    pairs: dict[str, object] = {
        names.EVENT_ID: event_id((SOURCE, run_id, said.status)),
        names.WORKFLOW: said.workflow,
        names.RUN_ID: run_id,
        names.STATE: said.state,
        names.REASON: CHECK_IN if has_failed else None,
        names.RAW_STATE: said.status,
        names.ATTEMPT: 1,
        names.SOURCE: SOURCE,
        names.RUN_STARTED: None if said.state == "running" or duration_ns is None else at_ns - duration_ns,
        names.ERROR_TYPE: CHECK_IN if has_failed else None,
        names.EXCEPTION_MESSAGE: "a check-in said so" if has_failed else None,
        names.NAME_SOURCE: said.declared.named_by,
        names.SCHEDULE_SPEC: said.declared.schedule,
        names.SCHEDULE_TZ: said.declared.tz,
        names.SCHEDULE_GRACE: said.declared.grace,
        names.MAX_DURATION: said.declared.max_duration,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, said.trace_id or run_id.replace("-", ""), "", pairs)
