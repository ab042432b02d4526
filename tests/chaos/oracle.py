"""The oracle: a client that takes every acknowledgement for a promise, and comes back to see whether it was kept.

*Conservation*: what was acknowledged is there exactly once, what was refused or not answered at most once, and nothing else
is there. *Integrity*: it is what was sent. *Liveness*: something new is acknowledged and can be read.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import grpc
import httpx
from chaos.shipments import KEY, Row, Shipment, shipment
from collectors import CollectorProcess, until

PATIENCE_SECONDS = 300.0
QUERIES = {
    "spans": f"SELECT attributes->>'{KEY}' AS key, name, epoch_ns(started_at) AS at, duration_ns, attributes FROM spans",
    "logs": f"SELECT attributes->>'{KEY}' AS key, body, epoch_ns(logged_at) AS at, attributes FROM logs "
    f"WHERE attributes->>'{KEY}' IS NOT NULL",
    "metrics": f"SELECT attributes->>'{KEY}' AS key, name, epoch_ns(measured_at) AS at, value, attributes FROM metrics",
    "run_events": "SELECT event_id AS key, run_id, state FROM run_events WHERE source <> 'ping'",
    "pings": "SELECT run_id AS key, state FROM run_events WHERE source = 'ping'",
}
_SERVICES = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


class Outcome(StrEnum):
    """What a client knows of a request."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"  # try again later, it was told
    UNANSWERED = "unanswered"


class Oracle:
    """One client's memory. ``problems`` collects every promise that was found broken, in words."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sent: list[Shipment] = []
        self.outcomes: dict[int, Outcome] = {}
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.problems: list[str] = []
        self._ping_path: str | None = None
        self._client = httpx.Client(trust_env=False, timeout=20)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def forget_ping_key(self) -> None:
        """The keys are gone: the next ping needs a new one."""
        self._ping_path = None

    # -- sending --------------------------------------------------------------------------------------------------

    def ship(self, collector: CollectorProcess, many: int = 1) -> list[Outcome]:
        """Deliver so many new shipments."""
        return [self.deliver(collector, self.next()) for _ in range(many)]

    def next(self) -> Shipment:
        """A new shipment, not yet sent."""
        self.sent.append(shipment(len(self.sent), self.seed))
        return self.sent[-1]

    def deliver(self, collector: CollectorProcess, one: Shipment) -> Outcome:
        """Send once. What was acknowledged before stays so."""
        outcome = self._send(collector, one)
        self.counts[outcome] += 1
        if self.outcomes.get(one.number) is not Outcome.ACKNOWLEDGED:
            self.outcomes[one.number] = outcome
        return outcome

    def unanswered(self) -> list[Shipment]:
        """What nobody acknowledged so far."""
        return [one for one in self.sent if self.outcomes.get(one.number) is not Outcome.ACKNOWLEDGED]

    def _send(self, collector: CollectorProcess, one: Shipment) -> Outcome:
        try:
            if one.door == "grpc":
                return _call(collector.addresses["grpc"], one)
            if one.door == "ping" and self._ping_path is None:
                self._ping_path = _ping_path(collector)
            return self._judge(one, self._post(collector, one))
        except httpx.TransportError:
            return Outcome.UNANSWERED

    def _post(self, collector: CollectorProcess, one: Shipment) -> httpx.Response:
        if one.door == "ping":
            return self._client.get(f"{collector.url}{self._ping_path}/0", params={"rid": one.body.decode()})
        signal = "logs" if one.signal == "runs" else one.signal
        headers = {"content-type": "application/json" if one.door == "json" else "application/x-protobuf"}
        if one.is_gzip:
            headers["content-encoding"] = "gzip"
        return self._client.post(f"{collector.url}/v1/{signal}", content=one.body, headers=headers)

    def _judge(self, one: Shipment, answer: httpx.Response) -> Outcome:
        if answer.status_code in (200, 201):
            return Outcome.ACKNOWLEDGED
        if answer.status_code != 503:
            self.problems.append(f"{one} was answered {answer.status_code}: {answer.text[:200]}")
        elif "retry-after" not in answer.headers:
            self.problems.append(f"{one} was answered 503 without Retry-After")
        return Outcome.REFUSED

    # -- looking --------------------------------------------------------------------------------------------------

    def settle(self, collector: CollectorProcess) -> None:
        """With a collector that nobody disturbs: deliver what is open and one thing more by each door, then look at all."""
        for one in [*self.unanswered(), *(self.next() for _ in range(4))]:
            until(lambda one=one: self.deliver(collector, one) is Outcome.ACKNOWLEDGED, f"{one} to be taken", PATIENCE_SECONDS)
        until(lambda: _is_settled_by_now(collector), "the stores to have everything", PATIENCE_SECONDS)
        self.look(collector)

    def look(self, collector: CollectorProcess) -> None:
        """Compare what can be read with what was promised."""
        for table, found in _everything(collector).items():
            self.compare(table, found)

    def compare(self, table: str, found: dict[str, list[Row]]) -> None:
        """Compare what a table was found to say, by key, with what it must and may say."""
        known = {key: (one, row) for one in self.sent for key, row in one.rows.get(table, {}).items()}
        for key, (one, row) in known.items():
            rows = found.get(key, [])
            if self.outcomes.get(one.number) is Outcome.ACKNOWLEDGED and not rows:
                self.problems.append(f"lost: {table} {key} of {one}, acknowledged")
            if len(rows) > 1:
                self.problems.append(f"{len(rows)} times: {table} {key} of {one}, {self.outcomes.get(one.number)}")
            if rows and rows[0] != row:
                self.problems.append(f"changed: {table} {key} of {one}: {row} became {rows[0]}")
        self.problems += [f"never sent: {table} {key}" for key in found.keys() - known.keys()]


def is_settled(collector: CollectorProcess) -> bool:
    """Whether both stores have everything and say so."""
    answer = collector.get("/readyz")
    ready = answer.json()
    return answer.status_code == 200 and ready["telemetry_lag_bytes"] == ready["control_lag_bytes"] == 0


def _is_settled_by_now(collector: CollectorProcess) -> bool:
    """The same; one that is too busy to answer is not."""
    with contextlib.suppress(httpx.TimeoutException):
        return is_settled(collector)
    return False


def _everything(collector: CollectorProcess) -> dict[str, dict[str, list[Row]]]:
    found: dict[str, dict[str, list[Row]]] = {}
    for table, query in QUERIES.items():
        rows: dict[str, list[Row]] = defaultdict(list)
        for key, row in _rows(collector, query):
            rows[key].append(row)
        found[table] = rows
    found["runs"] = {run["id"]: [(run["state"],)] for run in collector.all_runs() if run["source"] != "ping"}
    return found


def _rows(collector: CollectorProcess, query: str) -> Iterator[tuple[str, Row]]:
    answer = collector.post("/api/v1/sql", {"query": query})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert not told.get("truncated"), query
    for item in told["items"]:
        key, *rest = item.values()
        yield key, tuple(_plain(item, rest))


def _plain(item: dict[str, Any], values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield json.loads(value) if isinstance(value, str) and value is item.get("attributes") else value


def _call(address: str, one: Shipment) -> Outcome:
    signal = "logs" if one.signal == "runs" else one.signal
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(_SERVICES[signal])(one.body, timeout=20)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ())  # the collector's own words, and not the channel's
            return Outcome.REFUSED if "grpc-status-details-bin" in details else Outcome.UNANSWERED
    return Outcome.ACKNOWLEDGED


def _ping_path(collector: CollectorProcess) -> str:
    answer = collector.post("/api/v1/keys", {"scope": "ping", "workflow": "chaos.pinged"})
    if answer.status_code != 200:
        raise httpx.TransportError(f"no key: {answer.status_code}")
    return str(answer.json()["path"])
