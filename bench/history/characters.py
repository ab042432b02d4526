"""The stories of special workflows: what is different about each, in the story's last days above all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.history.cast import BERLIN, CAST, NEVER_RAN, NIGHTLY, ORDERS, PAUSED, SERVICE, UNKNOWN
from bench.history.plan import Plan
from bench.history.run import DAY, HOUR, MINUTE, Run, S
from bench.history.telling import sign_of_life


def _over(plan: Plan, runs: Sequence[Run], hours: float = 0) -> int:
    """The index of the last run that was over so many hours ago."""
    return max(i for i, run in enumerate(runs) if run.ended_ns < plan.now_ns - hours * HOUR)


def _nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """It stopped running, long enough ago for its dependents to have noticed. People changed its policy before."""
    plan.broken_ns = max(run.due_ns or 0 for run in runs if (run.due_ns or 0) < plan.now_ns - 6 * HOUR)
    plan.look(plan.broken_ns + 15 * MINUTE + S)
    document: dict[str, Any] = {"schedule": {**runs[0].of.schedule, "grace": "15m"}}
    plan.put(plan.ago(0.8 * plan.days), NIGHTLY, document, "maya", "10 minutes are not enough on Mondays")
    document = {**document, "expect": {"max_duration": "2h"}}
    plan.put(plan.ago(0.5 * plan.days), NIGHTLY, document, "jonas", "the warehouse closes at five")
    document = {**document, "alert": {"channels": ["ops"], "remind": "4h"}}
    plan.put(plan.ago(0.3 * plan.days), NIGHTLY, document, "maya", "say it again before the office opens")
    return [run for run in runs if (run.due_ns or 0) < plan.broken_ns]


def _reads_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """What it reads was not made, so it fails."""
    return [run.fail() if run.started_ns > plan.broken_ns else run for run in runs]


def _waits_for_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """What it waits for was not made, so it does not start."""
    return [run for run in runs if run.started_ns < plan.broken_ns]


def _follows_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """Somebody starts it by hand when it did not come, and it fails."""
    by_hand = Run(runs[0].of, runs[0].host, plan.broken_ns + 50 * MINUTE, 35 * S, plan.seed)
    return [*runs, by_hand.fail()]


def _orders(plan: Plan, runs: list[Run]) -> list[Run]:
    """Its database went away two runs ago."""
    last = _over(plan, runs)
    for run in runs[last - 1 : last + 1]:
        run.fail()
    plan.marks["failed"] = runs[last]
    return runs


def _hangs(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run never ends; after four hours the collector gives it up."""
    run = plan.marks["timed_out"] = runs[-1]
    run.is_hung, run.took_ns = True, 10 * DAY
    plan.look(run.started_ns + 4 * HOUR + S)
    return runs


def _vanishes(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run was killed, which the host's agent found out later; maya looks into it. Once there was maintenance."""
    last = _over(plan, runs, 1)
    chosen = min(runs[:last], key=lambda run: abs(run.started_ns - plan.ago(min(5, 0.45 * plan.days)))).due_ns or 0
    begins, ends = plan.maintained = (chosen - 30 * MINUTE, chosen + 3 * HOUR)
    plan.do(begins - HOUR, lambda world: world.maintain("backup.*", begins, ends, "jonas", "db-1 gets new disks"))
    for run in runs[last:]:
        run.state, run.took_ns, run.told_ns = "crashed", run.took_ns // 2, run.started_ns + run.took_ns // 2 + 9 * MINUTE
    told_ns = runs[last].told_ns or 0
    plan.do(told_ns + 12 * MINUTE, lambda world: world.acknowledge(runs[last].of.name, "maya"))
    plan.marks["crashed"] = runs[last]
    return runs


def _cancelled(plan: Plan, runs: list[Run]) -> list[Run]:
    """Somebody stopped the last run."""
    run = plan.marks["cancelled"] = runs[_over(plan, runs)]
    run.state, run.took_ns = "cancelled", run.took_ns * 2 // 5
    return runs


def _settled(plan: Plan, runs: list[Run]) -> list[Run]:
    """A run failed and jonas settled it by hand."""
    run = plan.marks["settled"] = runs[_over(plan, runs, 8)].fail()
    plan.do(run.ended_ns + 3 * HOUR, lambda world: world.close_incident(run.of.name, "jonas"))
    return runs


def _late(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run began after its grace."""
    runs = _lost_some(plan, runs)
    run = plan.marks["late"] = runs[_over(plan, runs, 0.4)]
    run.started_ns = (run.due_ns or 0) + 14 * MINUTE
    return runs


def _lost_some(plan: Plan, runs: list[Run]) -> list[Run]:
    """In the last hours of the collector's downtime it really did not run."""
    return [run for run in runs if not plan.down[1] - 2 * HOUR < run.started_ns < plan.down[1]]


def _early(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run began before its time."""
    run = plan.marks["early"] = runs[_over(plan, runs)]
    run.started_ns = (run.due_ns or 0) - 7 * MINUTE
    return runs


def _short(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run ended at once, and well; maya wants to hear of it tomorrow."""
    last = _over(plan, runs, 1)
    for run in runs[last:]:
        run.took_ns = 2 * S
    plan.look(runs[last].ended_ns + S)
    plan.do(runs[last].ended_ns + 20 * MINUTE, lambda world: world.snooze(runs[last].of.name, plan.now_ns + DAY))
    plan.marks["too_short"] = runs[last]
    return runs


def _paused(plan: Plan, runs: list[Run]) -> list[Run]:
    """Nothing is expected of it for a while."""
    at_ns = plan.ago(min(2, 0.25 * plan.days))
    plan.do(at_ns, lambda world: world.pause(PAUSED, "jonas", "the partner moves its API"))
    return [run for run in _lost_some(plan, runs) if run.started_ns < at_ns]


def _never_ran(plan: Plan, runs: list[Run]) -> list[Run]:
    """There is a policy, and nothing ever ran."""
    month = datetime.fromtimestamp((plan.now_ns + 100 * DAY) // S, UTC).month
    document = {"kind": "manual", "schedule": {"on_calendar": f"*-{month:02}-01 09:00", "tz": BERLIN}}
    plan.put(plan.ago(min(2, 0.25 * plan.days)), NEVER_RAN, document, "maya", "the auditors ask for it")
    return runs


def _service(plan: Plan, runs: list[Run]) -> list[Run]:
    """One run that does not end, and tells how far it is."""
    workflow = next(each for each in CAST if each.name == SERVICE)
    run = plan.marks["service"] = Run(workflow, workflow.hosts[0], plan.ago(min(2.5, 0.5 * plan.days)), 1000 * DAY, plan.seed)
    for at_ns in range(run.started_ns + 10 * MINUTE, plan.now_ns, 10 * MINUTE):
        plan.deliver(at_ns, lambda at_ns=at_ns: [sign_of_life(run, at_ns)])  # type: ignore[misc]
    return [*runs, run]


def _retried(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run succeeded at the second attempt."""
    run = plan.marks["retried"] = runs[_over(plan, runs)]
    run.attempts = 2
    return _measured(plan, runs)


def _measured(plan: Plan, runs: list[Run]) -> list[Run]:
    """The processes of the last half day are measured."""
    for run in runs:
        run.is_measured = run.started_ns > plan.ago(0.5)
    return runs


def _drifting(plan: Plan, runs: list[Run]) -> list[Run]:
    """Its runs take longer and longer."""
    for i, run in enumerate(runs):
        run.took_ns = round(run.took_ns * (1 + 2.5 * (i / len(runs)) ** 2))
    return _measured(plan, runs)


def _bimodal(plan: Plan, runs: list[Run]) -> list[Run]:
    """It either finds its cache or does not; the last run goes on."""
    for run in runs:
        run.took_ns = round(run.took_ns * (3.6 if run.chance.random() < 0.35 else 1))
    runs[-1].took_ns = 25 * MINUTE
    return runs


def _running(plan: Plan, runs: list[Run]) -> list[Run]:
    """The last run goes on."""
    plan.marks["running"] = runs[-1]
    runs[-1].took_ns = 45 * MINUTE
    return runs


def _deployed_while_down(plan: Plan, runs: list[Run]) -> list[Run]:
    """It ran for the first time while the collector was down, and then not before that was back."""
    began, back = plan.down
    ours = [run for run in runs if run.started_ns > began + 10 * MINUTE]
    return [run for run in ours if run is ours[0] or run.started_ns > back]


SHAPES: dict[str, Callable[[Plan, list[Run]], list[Run]]] = {
    NIGHTLY: _nightly,
    "report.revenue": _reads_nightly,
    "report.digest": _follows_nightly,
    "ml.train_churn": _waits_for_nightly,
    ORDERS: _orders,
    "ml.embeddings": _hangs,
    "backup.postgres": _vanishes,
    "billing.invoices": _cancelled,
    "billing.dunning": _settled,
    "crm.sync": _late,
    "infra.certs": _early,
    "report.kpi": _short,
    PAUSED: _paused,
    NEVER_RAN: _never_ran,
    SERVICE: _service,
    "etl.warehouse": _retried,
    "ingest.clickstream": _drifting,
    "ml.features": _bimodal,
    "sync.inventory": _running,
    UNKNOWN: _deployed_while_down,
}
