"""The goals that rota is built to, once. A figure that answers one names it; the table says where each stands."""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """A goal: ``limit`` in ``unit``, to stay below or to reach."""

    what: str
    limit: float
    unit: str
    is_ceiling: bool = True

    def is_met(self, value: float) -> bool:
        """Whether a measured value keeps the goal."""
        return value <= self.limit if self.is_ceiling else value >= self.limit

    @property
    def goal(self) -> str:
        """For people: ``≤ 5 ms``."""
        return f"{'≤' if self.is_ceiling else '≥'} {self.limit:,g} {self.unit}"


_OVER_BARE = "over a bare interpreter"

BUDGETS = {
    "startup.collector": Budget(f"watch() and exit, delivered to a collector on loopback, {_OVER_BARE}", 5, "ms"),
    "startup.agent": Budget(f"watch() and exit, delivered to a resident agent, {_OVER_BARE}", 5, "ms"),
    "exit.closed": Budget(f"watch() and exit, collector closed, {_OVER_BARE}", 5, "ms"),
    "exit.silent": Budget(f"watch() and exit, collector silent, {_OVER_BARE}", 210, "ms"),
    "exit.dns": Budget(f"watch() and exit, name cannot be looked up, {_OVER_BARE}", 10, "ms"),
    "exit.syn": Budget(f"watch() and exit, SYN dropped, {_OVER_BARE}", 10, "ms"),
    "exit.tls": Budget(f"watch() and exit, collector behind TLS, {_OVER_BARE}", 10, "ms"),
    "memory": Budget(f"resident memory {_OVER_BARE}", 4, "MB"),
    "task_span": Budget("a task span, spooled, over the undecorated call", 3, "µs"),
    "call": Budget("an observed call of a library, over its span", 5, "µs"),
    "permit": Budget("a call that an agent permits, p50", 70, "µs"),
    "million.p99": Budget("one of a million tasks, p99", 1, "ms"),
    "million.memory": Budget("memory that a million tasks add after the first tenth", 1, "MB"),
    "exec": Budget("`rota exec -- true` over `python -c pass`", 10, "ms"),
    "ingest.acknowledged": Budget("OTLP/HTTP acknowledged, 512-span requests, burst", 300_000, "spans/s", is_ceiling=False),
    "ingest.applied": Budget("... applied and queryable, 8 attributes a span", 100_000, "spans/s", is_ceiling=False),
    "ingest.share": Budget("... as a share of inserting the same ready Arrow table", 0.5, "×", is_ceiling=False),
    "ingest.bytes": Budget("stored bytes a span", 60, "B"),
    "small.rate": Budget("small requests, one event each, fsynced, 32 clients", 8_000, "/s", is_ceiling=False),
    "small.p99": Budget("... their p99", 10, "ms"),
    "api.p95": Budget("API p95 with 1 M runs, 20 M spans stored", 50, "ms"),
    "scale.p95": Budget("... of the lists, while 10,000 spans a second come in", 50, "ms"),
    "scale.start": Budget("start with 20 M spans", 3, "s"),
    "scale.idle": Budget("memory of an idle collector", 150, "MB"),
    "scale.load": Budget("... under load", 1_000, "MB"),
    "scale.acks": Budget("acknowledged while a backup or a vacuum goes on, p99", 10, "ms"),
    "page.overview.warm": Budget("overview of 2,000 workflows and 1 M runs, warm", 800, "ms"),
    "page.overview.cold": Budget("... cold", 2_000, "ms"),
    "page.run.warm": Budget("page of a run with 50,000 spans, warm", 1_200, "ms"),
    "page.click": Budget("a click inside the dashboard, p95", 500, "ms"),
    "page.session": Budget("server memory a session of the dashboard", 2, "MB"),
    "tick.some": Budget("100,000 schedules, a tick with 1 % due", 250, "ms"),
    "tick.all": Budget("100,000 schedules, a tick with all due", 3_000, "ms"),
    "verdict.p99": Budget("verdict after the deadline, p99", 1, "s"),
    "alert.p99": Budget("alert received after the deadline, p99", 3, "s"),
    "permission.p50": Budget("local permission for a function, p50", 70, "µs"),
    "decisions.rate": Budget("run-level decisions of the collector, 32 clients", 1_000, "/s", is_ceiling=False),
    "decisions.p50": Budget("... one client, p50", 5, "ms"),
    "waking": Budget("10,000 waiting runs woken", 5, "s"),
    "durable": Budget("permitted and durable task", 300, "µs"),
    "observer": Budget("a task of another orchestrator, observed, over the same unobserved", 1.01, "×"),
    "observer.lag": Budget("a state told by an observer to the same in the collector, p99", 1_000, "ms"),
    "downstream.p99": Budget("upstream succeeded to downstream executing, p99", 100, "ms"),
}
