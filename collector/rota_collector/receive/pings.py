"""Pings: ``/ping/KEY…``, as Healthchecks has them. A bare ASGI callable: jobs ping by the thousand.

The guard of the API does not stand before it. What the guard keeps out is a page in a browser that reads or changes what this
machine may; a ping needs a key, says one thing about the workflows of that key, and is answered with two letters. And jobs
reach the collector by whatever name their network has for it.
"""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any

from rota.wire import events, names
from rota_collector import __version__
from rota_collector.asgi import Receive, Send
from rota_collector.clock import Clock
from rota_collector.domain import ping as pinged
from rota_collector.domain.ping import BODY_LIMIT, METHODS, Ping, Refused
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.errors import JournalError, StoreError, TooOften
from rota_collector.journal import Journal, Signal
from rota_collector.receive.answers import RETRY_SECONDS
from rota_collector.receive.bodies import Disconnected
from rota_collector.receive.otlp import Headers
from rota_collector.receive.ping_runs import SOURCE, PingRun, PingRuns
from rota_collector.store.keys import Keys
from rota_collector.store.lookups import Lookups

_LONGEST_READ = 16 << 20  # bytes of a body that are read, so that what is beyond BODY_LIMIT is only thrown away
_LONGEST_AGENT = 300
_NOT_FOUND = Refused(404, "not found")
_SCOPE = events.scope(__version__, {})
_HEADERS: Headers = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"access-control-allow-origin", b"*"),  # as Healthchecks: a page may ping
    (b"cache-control", b"no-store"),
    (b"ping-body-limit", b"%d" % BODY_LIMIT),
    (names.COLLECTOR_HEADER.lower().encode(), __version__.encode()),
]


class Receiver:
    """ASGI application for the paths below ``/ping/``. An answer of 200 or 201 means that the ping is on disk.

    ``recorded``: the end of the journal when it was opened; up to there control may still have to apply it.
    """

    def __init__(
        self, journal: Journal, keys: Keys, control: Lookups, clock: Clock, recorded: int, rates: Rates = NO_LIMIT
    ) -> None:  # fmt: skip
        self._journal, self._keys, self._clock, self._rates = journal, keys, clock, rates
        self._runs = PingRuns(control, clock, recorded)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        extra: Headers = []
        try:
            http_status, text = await self._answer(scope, receive)
        except Disconnected:
            return
        except Refused as refused:
            http_status, text = refused.status, refused.text
            if http_status == 405:
                extra = [(b"allow", ", ".join(METHODS).encode())]
        except TooOften as error:
            http_status, text, extra = 429, str(error), [(b"retry-after", b"%d" % error.retry_seconds)]
        except (JournalError, StoreError) as error:
            http_status, text, extra = 503, str(error), [(b"retry-after", b"%d" % RETRY_SECONDS)]
        body = text.encode()
        headers = [*_HEADERS, (b"content-length", b"%d" % len(body)), *extra]
        await send({"type": "http.response.start", "status": http_status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive) -> tuple[int, str]:
        if scope["method"] not in METHODS:
            raise Refused(405, f"{scope['method']} is no ping")
        where = pinged.address(_raw_path(scope))
        key = self._keys.ping_key(where.key)
        if key is None:
            raise _NOT_FOUND
        if wait_seconds := self._rates.wait_seconds(key.id):
            raise TooOften(f"this key pings more than {self._rates.per_second:g} times a second", wait_seconds)
        ping = pinged.read(where.rest, scope["query_string"].decode("latin-1"), is_bound=key.workflow is not None)
        workflow = ping.slug if key.workflow is None else key.workflow
        if workflow is None or not key.allows(workflow):
            raise _NOT_FOUND
        # A key for one workflow vouches for it, as the UUID of a check does: it need not have run.
        is_new = key.workflow is None and not await self._runs.knows(workflow)
        if is_new and not pinged.may_be_made(ping):
            raise _NOT_FOUND
        head, tail = await _output(receive)
        await self._keep(ping, workflow, pinged.text_of(head), pinged.text_of(tail), _about(scope))
        return (201, "Created") if is_new else (200, "OK")

    async def _keep(self, ping: Ping, workflow: str, output: str, tail: str, about: dict[str, object]) -> None:
        """Return when the ping is in the journal. Raises JournalError."""
        at_ns = self._clock.now_ns()
        run = await self._run_of(ping, workflow, at_ns)
        if run is not None and ping.rid:
            at_ns = run.told_ns(ping.raw_state) or at_ns  # sent again: the stores know an event by its id and its time
            if ping.state not in (None, "running"):
                run = run._replace(ended_ns=at_ns, end=ping.raw_state)
        records = []
        if ping.state is not None and run is not None:
            records.append(_state(ping, run, at_ns, tail or output, about))
        if output or not records:
            records.append(_output_record(ping, workflow, run, at_ns, output, about))
        line = events.logs_line(events.resource({names.SERVICE_NAME: workflow}), _SCOPE, records).encode("ascii")
        try:
            await self._journal.append(Signal.LOGS_JSON, line)
        except JournalError:
            if run is not None and run.started_ns and ping.state not in (None, "running"):
                self._runs.keep(run, ping.rid, is_open=True)  # it did not end: nobody was told so
            raise
        if run is not None and ping.state is not None:
            self._runs.keep(run, ping.rid, is_open=ping.state == "running")

    async def _run_of(self, ping: Ping, workflow: str, at_ns: int) -> PingRun | None:
        if ping.state is None:
            return await self._runs.of_log(workflow, ping.rid)
        find = self._runs.of_start if ping.state == "running" else self._runs.of_end
        return await find(workflow, ping.rid, at_ns)


def _raw_path(scope: MutableMapping[str, Any]) -> str:
    """The path as it was sent: a slash within a name is still ``%2F``."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _about(scope: MutableMapping[str, Any]) -> dict[str, object]:
    """Who pinged, and how."""
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    return {
        names.HTTP_METHOD: scope["method"],
        names.USER_AGENT: agent[:_LONGEST_AGENT].decode("latin-1") or None,
        names.CLIENT_ADDRESS: scope["client"][0] if scope.get("client") else None,
    }


async def _output(receive: Receive) -> tuple[bytearray, bytearray]:
    """(the first bytes of the body, the last few if it was cut). Raises Disconnected."""
    head, tail, size, more = bytearray(), bytearray(), 0, True
    while more and size < _LONGEST_READ:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        kept = max(0, BODY_LIMIT - len(head))
        head += chunk[:kept]
        if len(chunk) > kept:
            tail = (tail + chunk[kept:])[-pinged.TAIL_BYTES :]
    return head, tail


def _state(ping: Ping, run: PingRun, at_ns: int, output: str, about: dict[str, object]) -> str:
    """What the ping says of its run.

    An end without a start tells no duration, so none is invented: without ``rota.run.started`` the run is listed, and
    counted for its slot, at the time of its end.
    """
    declared = ping.declared
    has_failed = ping.state == "failed"
    pairs: dict[str, object] = {
        names.EVENT_ID: _event_id(ping, run, "state", at_ns),
        names.WORKFLOW: run.workflow,
        names.RUN_ID: run.run_id,
        names.STATE: ping.state,
        names.REASON: ping.reason,
        names.RAW_STATE: ping.raw_state,
        names.ATTEMPT: 1,
        names.SOURCE: SOURCE,
        names.RUN_STARTED: run.started_ns or None,
        names.PROCESS_EXIT_CODE: ping.exit_code,
        names.ERROR_TYPE: ping.reason,
        names.EXCEPTION_MESSAGE: (pinged.last_lines(output) or _without_output(ping)) if has_failed else None,
        names.NAME_SOURCE: "given" if any(declared) else None,
        names.SCHEDULE_SPEC: declared.schedule,
        names.SCHEDULE_TZ: declared.tz,
        names.SCHEDULE_GRACE: declared.grace,
        names.MAX_DURATION: declared.max_duration,
        **about,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, run.run_id.replace("-", ""), "", pairs)


def _without_output(ping: Ping) -> str:
    return "a ping said so" if ping.exit_code is None else f"exit status {ping.exit_code}"


def _output_record(
    ping: Ping, workflow: str, run: PingRun | None, at_ns: int, output: str, about: dict[str, object]
) -> str:  # fmt: skip
    """What the job wrote."""
    pairs: dict[str, object] = {
        names.EVENT_ID: _event_id(ping, run, "output", at_ns),
        names.WORKFLOW: workflow,
        names.RUN_ID: run.run_id if run else None,
        names.SOURCE: SOURCE,
        names.RAW_STATE: ping.raw_state,
        **about,
    }
    record = events.log_record(at_ns, names.OUTPUT_EVENT, run.run_id.replace("-", "") if run else "", "", pairs)
    return record[:-1] + ',"body":{"stringValue":%s}}' % events.text(output)


def _event_id(ping: Ping, run: PingRun | None, kind: str, at_ns: int) -> str:
    """The same for a ping that is repeated: of a run with a ``rid``, which has one start and one end. Log lines may repeat."""
    if run is None:
        return str(uuid.uuid4())
    moment = "" if ping.rid and ping.state is not None else f"/{at_ns}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rota:ping/{run.run_id}/{ping.raw_state}/{kind}{moment}"))
