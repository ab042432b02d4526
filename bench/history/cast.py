"""The table of workflows: a company's jobs as people would find them. The hand-written ones have parts in the story."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
NIGHTLY, ORDERS, SERVICE = "etl.nightly", "ingest.orders", "stream.payments"
UNKNOWN, PAUSED, NEVER_RAN = "ingest.webhooks", "sync.partners", "infra.dr_drill"
DEPENDENTS = ("ml.train_churn", "report.digest", "report.revenue")


class Step(NamedTuple):
    """A task of a workflow: its share of the time, what it asks of another system, what it records, and its parts."""

    name: str
    share: float
    call: str = ""  # a key of CALLS
    rows: int = 0
    part: str = ""
    parts: int = 0


class Workflow(NamedTuple):
    """A member of the cast. Its schedule is declared by its code, or stored with ``policy``."""

    name: str
    schedule: dict[str, Any]  # as in a policy, without the grace
    hosts: tuple[str, ...]
    tags: tuple[str, ...] = ()
    median: float = 60.0  # seconds that a run takes
    spread: float = 0.15
    grace: str | None = None
    is_declared: bool = True
    source: str = "sdk"
    policy: dict[str, Any] | None = None  # what somebody stored
    fails: float = 0.01
    error: str = "timeout"  # a key of ERRORS: how it fails when it does
    phase: float = 0.0  # of an interval: seconds since the last start
    since_days: float | None = None  # deployed so long ago; None: before the story begins
    is_weekly: bool = False  # much to do on Mondays, little at weekends

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its tasks, one after the other."""
        return STEPS.get(self.name.partition(".")[0], ())


STEPS = {
    "etl": (
        Step("extract", 4, "get", 46_000), Step("transform", 2), Step("load", 5, "insert", 46_000), Step("publish", 0.4, "put"),
    ),
    "ingest": (
        Step("extract", 3, "get", 48_000), Step("transform", 1.5), Step("load", 5, "insert", 48_000, "load_row", 12),
        Step("publish", 0.5, "insert"),
    ),
    "report": (Step("query", 5, "scan", 900), Step("render", 2), Step("send", 0.4, "post")),
    "sync": (Step("list", 2, "get", 7_200), Step("diff", 3), Step("apply", 3, "insert", 310)),
    "ml": (Step("load_features", 2, "scan", 250_000), Step("train", 8), Step("evaluate", 1), Step("register", 0.3, "put")),
    "billing": (Step("collect", 2, "select", 1_800), Step("charge", 5, "post", 1_800), Step("notify", 1, "post")),
    "crm": (Step("pull", 3, "get", 5_400), Step("merge", 1), Step("push", 2, "post", 140)),
    "stream": (Step("consume", 1),),
    "backup": (),  # shell scripts under `rota exec`: seen from outside
    "infra": (),
}  # fmt: skip


def daily(hour: int, minute: int, tz: str = "UTC") -> dict[str, Any]:
    return {"cron": f"{minute} {hour} * * *", "tz": tz}


CAST = (
    Workflow(NIGHTLY, daily(2, 0, BERLIN), ("etl-1",), ("team:data", "nightly", "gdpr"), 2300, grace="10m", fails=0.02,
             is_weekly=True),
    Workflow("report.revenue", daily(5, 30, BERLIN), ("bi-1",), ("team:finance", "nightly"), 140, is_declared=False,
             policy={"expect": {"upstream": [NIGHTLY]}}, error="missing"),
    Workflow("report.digest", {"after": {"workflow": NIGHTLY, "within": "2h"}}, ("bi-1",), ("team:data",), 35,
             is_declared=False, error="missing"),
    Workflow("ml.train_churn", daily(4, 0, BERLIN), ("ml-1",), ("team:ml", "nightly"), 1900, is_declared=False,
             policy={"expect": {"upstream": [NIGHTLY]}}),
    Workflow(ORDERS, {"cron": "5 * * * *"}, ("etl-1",), ("team:data", "gdpr"), 240, grace="10m", is_declared=False,
             policy={"expect": {"failures": 2, "max_duration": "40m"}}, error="refused", fails=0.003),
    Workflow("ml.embeddings", {"every": "12h"}, ("ml-1",), ("team:ml",), 7800, policy={"expect": {"max_duration": "4h"}},
             phase=5.5 * 3600),
    Workflow("backup.postgres", {"on_calendar": "*-*-* 01:30:00", "tz": BERLIN}, ("db-1",), ("team:platform", "nightly"), 1500,
             source="exec", error="disk"),
    Workflow("billing.invoices", {"on_calendar": "*-*-* 07:00", "tz": NEW_YORK}, ("app-1",), ("team:finance", "gdpr"), 420,
             source="exec", error="timeout"),
    Workflow("billing.dunning", daily(9, 0, NEW_YORK), ("app-1",), ("team:finance", "gdpr"), 95, error="stripe", fails=0.03),
    Workflow("crm.sync", {"cron": "20 * * * *"}, ("etl-2",), ("team:sales", "gdpr"), 130, grace="10m", fails=0.003),
    Workflow("infra.certs", daily(6, 0), ("app-1",), ("team:platform",), 12, grace="15m", source="exec"),
    Workflow("report.kpi", daily(7, 15), ("bi-1",), ("team:finance",), 210, policy={"expect": {"min_duration": "30s"}}),
    Workflow(PAUSED, {"cron": "40 * * * *"}, ("app-1",), ("team:sales", "staging"), 75, fails=0.003),
    Workflow(NEVER_RAN, {}, ("db-1",)),
    Workflow(SERVICE, {}, ("app-1",), ("team:payments", "service"), policy={"kind": "service", "expect": {"silence": "12h"}}),
    Workflow("etl.warehouse", {"every": "3h"}, ("etl-2",), ("team:data",), 900, policy={"expect": {"failures": 2}},
             phase=3000, error="refused"),
    Workflow("ingest.clickstream", {"every": "10m"}, ("etl-2",), ("team:data",), 55, fails=0.001, phase=130, since_days=21),
    Workflow("ml.features", {"every": "4h"}, ("ml-1",), ("team:ml",), 380, spread=0.1, phase=400),
    Workflow("sync.inventory", {"every": "2h"}, ("etl-2",), ("team:shop",), 1500, phase=840, error="value"),
    Workflow(UNKNOWN, {"cron": "25 * * * *"}, ("etl-1",), ("team:data",), 20, grace="5m", fails=0.003),
    Workflow("infra.rotate_logs", daily(0, 15), ("web-1", "web-2", "web-3"), ("team:platform",), 8, source="exec", error="disk"),
)  # fmt: skip


def text_of(schedule: Mapping[str, Any]) -> str | None:
    """A schedule as the arguments of ``watch()`` spell it."""
    text = schedule.get("cron") or schedule.get("on_calendar")
    return f"every {schedule['every']}" if "every" in schedule else text


# -- more of them, from word lists ---------------------------------------------------------------------------------------


_THINGS = (
    "orders", "ledger", "refunds", "snapshot", "vacuum", "digest", "customers", "sessions", "stock", "prices", "payouts",
    "labels", "tickets", "leads", "audit", "archive", "emails", "coupons", "shipments", "vendors", "forecast", "quality", "usage",
)  # fmt: skip
_HOSTS = {
    "etl": ("etl-1", "etl-2"), "ingest": ("etl-1", "etl-2"), "report": ("bi-1",), "backup": ("db-1", "db-2"), "ml": ("ml-1",),
    "sync": ("app-1", "etl-2"), "billing": ("app-1",), "crm": ("app-1",), "infra": ("web-1", "web-2", "web-3"),
}  # fmt: skip
_TEAMS = {"report": "finance", "billing": "finance", "ml": "ml", "crm": "sales", "infra": "platform", "backup": "platform"}


def extras(count: int, seed: int) -> list[Workflow]:
    """So many more workflows, from word lists; the first comes every five minutes."""
    chance = random.Random(f"{seed}/extras")
    taken = {each.name for each in CAST}
    free = [f"{group}.{thing}" for group in _HOSTS for thing in _THINGS if f"{group}.{thing}" not in taken]
    found = [_extra(name, chance) for name in sorted(chance.sample(free, min(max(count, 0), len(free))))]
    often = [each._replace(schedule={"cron": "*/5 * * * *"}, median=4.0, fails=0.0005, since_days=5) for each in found[:1]]
    return often + found[1:]


def _extra(name: str, chance: random.Random) -> Workflow:
    group = name.partition(".")[0]
    schedule, median, fails = _rhythm(chance)
    source = "exec" if group in ("backup", "infra") else "sdk"
    more = [tag for tag, share in (("gdpr", 0.2), ("staging", 0.12), ("nightly", 0.2)) if chance.random() < share]
    return Workflow(
        name, schedule, (chance.choice(_HOSTS[group]),), (f"team:{_TEAMS.get(group, 'data')}", *more), median,
        spread=chance.choice((0.08, 0.15, 0.3)), is_declared="every" in schedule or chance.random() < 0.6, source=source,
        fails=fails, error=chance.choice(("disk", "timeout") if source == "exec" else ("timeout", "value", "refused")),
        phase=chance.uniform(300, 3000), is_weekly=chance.random() < 0.2,
    )  # fmt: skip


def _rhythm(chance: random.Random) -> tuple[dict[str, Any], float, float]:
    """(schedule, median duration in seconds, share of runs that fail)."""
    tz, hour, minute = chance.choice((BERLIN, BERLIN, "UTC", NEW_YORK)), chance.randrange(24), chance.randrange(60)
    roll, fails = chance.random(), chance.choice((0.004, 0.008, 0.02, 0.04))
    if roll < 0.08:
        return {"cron": f"{minute} * * * *"}, chance.uniform(10, 200), fails / 10
    if roll < 0.25:
        return {"every": chance.choice(("2h", "6h", "8h"))}, chance.uniform(30, 290), fails / 4
    if roll < 0.4:
        return {"cron": f"{minute} {hour} * * 1-5", "tz": tz}, chance.uniform(20, 2000), fails
    if roll < 0.5:
        return {"on_calendar": f"Mon..Sat {hour:02}:{minute:02}", "tz": tz}, chance.uniform(20, 900), fails
    if roll < 0.58:
        return {"cron": f"{minute} {hour} * * 0", "tz": tz}, chance.uniform(300, 4000), fails
    return daily(hour, minute, tz), chance.uniform(20, 2500), fails
