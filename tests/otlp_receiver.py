"""A scripted OTLP/HTTP receiver and the spool lines to send it: what the agent's tests talk to instead of a collector."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from scripts import plain

from rota.wire import events, metrics, names


class Reply(NamedTuple):
    """What to answer; ``is_rota`` adds the header by which a rota collector is known."""

    status: int = 200
    is_rota: bool = True
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Receiver:
    """Keeps every request that carried something; ``answer(path, body)`` decides what is said to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked = 0  # requests that carried something, answered or not
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []
        self.answer: Callable[[str, bytes], Reply] = lambda path, body: Reply()
        self.delivered: list[tuple[str, bytes]] = []  # those that were answered with 200

    def states(self) -> list[dict[str, Any]]:
        """The attributes of every delivered run state, in order of arrival, each event once."""
        found: dict[str, dict[str, Any]] = {}
        for path, body in self.delivered:
            if path == "/v1/logs" and body:  # else the question of a script that starts
                for record in records(json.loads(body)):
                    if record["eventName"] == names.RUN_STATE_EVENT:
                        pairs = {pair["key"]: plain(pair["value"]) for pair in record["attributes"]}
                        found.setdefault(pairs[names.EVENT_ID], {**pairs, "at_ns": int(record["timeUnixNano"])})
        return list(found.values())

    def said(self) -> list[str]:
        """The delivered states alone."""
        return [state[names.STATE] for state in self.states()]


@contextlib.contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver on 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", port), _Exchange) as server:
        server.receiver = Receiver("http://127.0.0.1:%d" % server.server_address[1])  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.receiver  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


class _Exchange(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        kept: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept.asked += body != b"{}"  # else the question whether this is rota
        reply = kept.answer(self.path, body)
        if body != b"{}":
            kept.requests.append((self.path, body, {name.title(): value for name, value in self.headers.items()}))
            if reply.status == 200:
                kept.delivered.append((self.path, body))
        self.send_response(reply.status)
        for name, value in (*reply.headers, *((names.COLLECTOR_HEADER, "1") for _ in range(reply.is_rota))):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        with contextlib.suppress(ConnectionError):  # an agent that a test killed
            self.end_headers()
            self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Silence."""


def records(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The log records of a request."""
    for group in request["resourceLogs"]:
        for scoped in group["scopeLogs"]:
            yield from scoped["logRecords"]


RUN_ID = "0192a4b0-0000-7000-8000-000000000001"


def state_line(state: str, run_id: str = RUN_ID, at_ns: int = 1_000, **pairs: object) -> bytes:
    """A spool line with a run state, as the SDK writes it. ``pairs``: exit_code, attempt, scope, reason, event_id."""
    known = {
        names.EVENT_ID: pairs.get("event_id", "%s-%s-%d" % (run_id, state, at_ns)),
        names.WORKFLOW: "etl",
        names.RUN_ID: run_id,
        names.STATE: state,
        names.ATTEMPT: pairs.get("attempt", 1),
        names.SOURCE: "sdk",
        names.RUN_SCOPE: pairs.get("scope", "process"),
        names.REASON: pairs.get("reason"),
        names.PROCESS_EXIT_CODE: pairs.get("exit_code"),
    }
    record = events.log_record(at_ns, names.RUN_STATE_EVENT, run_id.replace("-", ""), "00000000000000aa", known)
    scope = events.scope("1", {names.RUN_ID: run_id, names.WORKFLOW: "etl"})
    return events.logs_line(events.resource({names.SERVICE_NAME: "etl"}), scope, (record,)).encode("ascii")


def span_line(name: str = "load") -> bytes:
    """A spool line with one span."""
    span = events.span("0" * 31 + "1", "0" * 15 + "2", "", events.text(name), 1, 1_000, 2_000, "")
    return events.spans_line(events.resource({names.SERVICE_NAME: "etl"}), {events.scope("1", {}): [span]}).encode("ascii")


def metrics_line() -> bytes:
    """A line with a sum and a gauge."""
    told = [
        metrics.total("process.cpu.time", "s", [metrics.point(1.5, 2_000, 1_000, {"cpu.mode": "user"})], True),
        metrics.total("process.memory.usage", "By", [metrics.point(4096, 2_000)], False),
        metrics.gauge("process.cpu.utilization", "1", [metrics.point(0.5, 2_000)]),
    ]
    scope = events.scope("1", {names.RUN_ID: RUN_ID, names.WORKFLOW: "etl"})
    return metrics.line([metrics.of_scope(events.resource({names.SERVICE_NAME: "etl"}), scope, told)]).encode("ascii")
