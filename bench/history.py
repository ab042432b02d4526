"""``python -m bench.history HOME``: the home of a collector with months of plausible history, for screenshots, tests and demos.

Runs are made up; everything else is derived from what they say by the collector's own code, under a clock that is moved:
journal, stores and monitor are wired as in ``rota_collector.__main__``, without threads and sockets. The same seed and the
same time make the same runs and verdicts.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench import history_data as data
from bench.history_data import DAY, HOUR, MINUTE, Line, Run, S, Workflow
from rota.rules.durations import seconds
from rota.wire import events
from rota_collector import decode
from rota_collector import home as home_dir
from rota_collector.clock import ManualClock
from rota_collector.config import Config
from rota_collector.domain.incident import DOWNTIME, HOST_SILENT, Incident
from rota_collector.domain.schedule import parse
from rota_collector.domain.slots import Limits
from rota_collector.errors import CollectorError
from rota_collector.journal import Journal, Record, Signal
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.incidents import IncidentFilter
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.tick import Tools

FEWEST_DAYS = 3
DOWN_NS, SILENT_NS = 5 * HOUR, 3 * HOUR + 30 * MINUTE  # how long nobody watched, and how long a host was silent
SILENT_HOST = "etl-2"
CHANNEL = "https://hooks.acme.invalid/ops"  # a name that no resolver knows: what a collector sends on this home goes nowhere
BATCH_BYTES, REQUEST_BYTES = 32 << 20, 4 << 20


class Story(NamedTuple):
    """What there is to see. ``runs`` and ``incidents`` are ids, by what is special about each."""

    home: Path
    now_ns: int
    failed_run: str
    running_run: str
    missed_workflow: str
    dependents: tuple[str, ...]  # of that workflow; their incidents are suppressed
    unknown_workflow: str
    paused_workflow: str
    never_ran_workflow: str
    runs: dict[str, str]
    incidents: dict[str, str]
    large_run: str | None = None
    hostile_run: str | None = None


def make(
    home: Path, *, now_ns: int | None = None, days: int = 90, workflows: int = 60, seed: int = 7, large: bool = False,
    hostile: bool = False,
) -> Story:  # fmt: skip
    """Make the history of ``days`` days up to ``now_ns`` (Unix ns) in ``home``, which must hold no history yet.

    The hand-written workflows are always there; ``workflows`` says how many there are in all, if more. ``large`` adds a run of
    50,000 spans, ``hostile`` one whose texts are attacks.
    """
    if days < FEWEST_DAYS:
        raise ValueError(f"days={days}: the story needs {FEWEST_DAYS} at least")
    if (home / "journal").exists():
        raise FileExistsError(f"{home} holds a history already: name another folder")
    plan = Plan(time.time_ns() if now_ns is None else now_ns, days, str(seed))
    for workflow in [*data.CAST, *data.extras(workflows - len(data.CAST), seed)]:
        plan.add(workflow)
    large_run = plan.add_whole(data.large_run(plan.ago(0.02), plan.seed)) if large else None
    hostile_run = plan.add_whole(data.hostile_run(plan.ago(0.01), plan.seed)) if hostile else None
    with World(home, plan.began_ns) as world:
        for moment in plan.moments():
            world.at(moment, plan.arriving(moment), plan)
        world.finish()
        world.deliver_alerts(plan.now_ns)
        return _story(world, plan, large_run, hostile_run)


# -- what happened, whoever heard of it ----------------------------------------------------------------------------------


class Plan:
    """The runs, the deeds of people, and the moments at which the collector has to look. Times are Unix ns."""

    def __init__(self, now_ns: int, days: int, seed: str) -> None:
        self.now_ns, self.days, self.seed = now_ns, days, seed
        self.began_ns = now_ns - days * DAY
        down_ns = self.ago(min(14, 0.6 * days))
        self.down = (down_ns, down_ns + DOWN_NS)
        silent_ns = self.ago(min(9, 0.42 * days))
        self.silent = (silent_ns, silent_ns + SILENT_NS)
        self.maintained = (0, 0)
        self.broken_ns = 0  # since when the nightly workflow does not start
        self.marks: dict[str, Run] = {}
        self._ends: dict[str, list[int]] = {}  # workflow → when its runs succeeded
        self._deliveries: list[tuple[int, int, Callable[[], Iterable[Line]]]] = []
        self._next = 0
        self._deeds: list[tuple[int, Callable[[World], object]]] = []
        self._looks = {*self.down, self.down[1] + 40 * S, self.down[1] + 130 * S, self.down[1] + 3 * MINUTE, self.silent[1] + 1}

    def ago(self, days: float) -> int:
        """So many days before the end of the story, on a second of its own."""
        return self.now_ns - round(days * DAY)

    def look(self, at_ns: int) -> None:
        """The collector looks at that moment, as it would of itself: a deadline passes, or news comes in."""
        if self.began_ns < at_ns < self.now_ns:
            self._looks.add(at_ns)

    def do(self, at_ns: int, deed: Callable[[World], object]) -> None:
        """Somebody does something at that moment."""
        self._deeds.append((at_ns, deed))
        self.look(at_ns)

    def put(self, at_ns: int, workflow: str, document: dict[str, Any], author: str, reason: str) -> None:
        """Somebody stores a policy at that moment."""
        self.do(at_ns, lambda world: world.put(workflow, document, author, reason))

    def deliver(self, at_ns: int, say: Callable[[], Iterable[Line]]) -> None:
        """Something reaches the collector; while that is down, it waits in a spool."""
        at_ns = self.down[1] + 30 * S if self.down[0] < at_ns < self.down[1] else at_ns
        if at_ns <= self.now_ns:
            self._deliveries.append((at_ns, len(self._deliveries), say))

    # -- a workflow ---------------------------------------------------------------------------------------------------

    def add(self, workflow: Workflow) -> None:
        """All that happens to a workflow."""
        began_ns = self.began_ns if workflow.since_days is None else max(self.began_ns, self.ago(workflow.since_days))
        self._store_policy(workflow, began_ns)
        for host in workflow.hosts:
            chance = random.Random(f"{self.seed}/{workflow.name}/{host}")
            dues = self._dues(workflow, began_ns)
            runs = list(self._runs(workflow, host, dues, chance))
            if workflow.name in SHAPES:
                runs = SHAPES[workflow.name](self, runs)
            runs = [run for run in runs if self._came_about(run)]
            self._look_at(workflow, dues, runs)
            for run in runs:
                self._tell(run)
        self._ends[workflow.name] = [run.ended_ns for run in runs if run.state == "succeeded" and run.ended_ns <= self.now_ns]

    def add_whole(self, told: tuple[Run, list[Line]]) -> Run:
        """A run that says everything at its end."""
        run, lines = told
        self.deliver(run.ended_ns, lambda: lines)
        return run

    def _store_policy(self, workflow: Workflow, began_ns: int) -> None:
        document = dict(workflow.policy or {})
        if workflow.schedule and not workflow.is_declared:
            document["schedule"] = {**workflow.schedule, **({"grace": workflow.grace} if workflow.grace else {})}
        if document:
            self.put(began_ns, workflow.name, document, "jonas", "as agreed with the team")

    def _dues(self, workflow: Workflow, began_ns: int) -> list[int]:
        """When it should run, by now."""
        when = workflow.schedule
        if "after" in when:
            return [end for end in self._ends[when["after"]["workflow"]] if end > began_ns]
        if "every" in when:
            period_ns = round(seconds(when["every"]) * S)
            return list(range(self.now_ns - round(workflow.phase * S), began_ns + period_ns, -period_ns))[::-1]
        found: list[int] = []
        schedule, at = parse(when) if when else None, began_ns
        while schedule is not None and (at := schedule.next_after(at) or self.now_ns) < self.now_ns:
            found.append(at)
        return found

    def _runs(self, workflow: Workflow, host: str, dues: Sequence[int], chance: random.Random) -> Iterator[Run]:
        """A run for nearly every due time: now and then one is missing, late, or fails. The last days go well."""
        is_calm_from = min(self.ago(1.5), dues[-3] if len(dues) > 3 else self.now_ns)
        for i, due in enumerate(dues):
            gap_ns = due - dues[i - 1] if i else DAY
            roll, lag_ns = chance.random(), round(chance.lognormvariate(0.9, 0.7) * S)
            took_ns = round(workflow.median * chance.lognormvariate(0, workflow.spread) * _weekday(workflow, due) * S)
            fails = chance.random() < workflow.fails and due < is_calm_from
            if due < is_calm_from and "every" not in workflow.schedule and gap_ns >= HOUR:
                if roll < 0.0015:
                    continue
                if roll < 0.005:
                    lag_ns = _grace_ns(workflow, gap_ns) + round(chance.uniform(2, 9) * MINUTE)
            run = Run(workflow, host, due + lag_ns, took_ns, self.seed, due, is_told_whole=self._is_told_whole(due, gap_ns))
            yield _failing(run) if fails else run

    def _is_told_whole(self, due: int, gap_ns: int) -> bool:
        """Of runs that come often, the old ones are told by their states alone: it is their number that counts."""
        return due > self.ago(14 if gap_ns > 5 * HOUR else 3 if gap_ns > HOUR // 2 else 0.5)

    def _came_about(self, run: Run) -> bool:
        """Whether the run was at all: not in the future, nor while its host was off, or under maintenance."""
        begins, ends = self.silent
        if run.started_ns >= self.now_ns:
            return False
        if run.host == SILENT_HOST and begins <= run.started_ns < ends:
            return False
        if run.host == SILENT_HOST and run.started_ns < begins < run.ended_ns:  # the host takes it along
            run.state, run.error, run.took_ns, run.told_ns = "crashed", "", begins - run.started_ns, ends
        return not (run.of.name.startswith("backup.") and self.maintained[0] <= run.started_ns < self.maintained[1])

    def _look_at(self, workflow: Workflow, dues: Sequence[int], runs: Sequence[Run]) -> None:
        """Look when something goes wrong, and when it is well again, so that incidents have their real times."""
        run_of, was_there = {run.due_ns: run for run in runs}, True
        lag_ns = 30 * S if "every" in workflow.schedule else S  # an interval counts from the last start, which lagged behind
        if runs:
            self.look(runs[0].started_ns + S)  # what its code declares is in force from the first run on
        for i, due in enumerate(dues):
            run, deadline = run_of.get(due), due + _grace_ns(workflow, due - dues[i - 1] if i else DAY)
            if (run is None and was_there) or (run is not None and run.started_ns > deadline):
                self.look(deadline + lag_ns)
            if run is not None and (not was_there or run.started_ns > deadline):
                self.look(run.ended_ns + S)
            was_there = run is not None
        was_well = True
        for run in runs:
            is_well = run.state not in ("failed", "crashed")
            if not (is_well and was_well):
                self.look((run.told_ns or run.ended_ns) + S)
            was_well = is_well

    def _tell(self, run: Run) -> None:
        """What reaches the collector of a run, and when."""
        self.deliver(run.started_ns + 1, lambda: [data.beginning(run)])
        end_ns = min(run.told_ns or run.ended_ns, self.now_ns)
        self.deliver(end_ns, lambda: data.ending(run, self.now_ns))

    # -- the walk -----------------------------------------------------------------------------------------------------

    def moments(self) -> list[int]:
        """When the collector looks, in order; the closer to now, the more often. Not while it is down."""
        self._deliveries.sort()
        self._deeds.sort(key=lambda each: each[0])
        looks = {*self._looks, self.began_ns, self.now_ns}
        for span_ns, step_ns in ((self.days * DAY, DAY), (3 * DAY, 3 * HOUR), (DAY, HOUR), (HOUR, 10 * MINUTE)):
            looks.update(range(max(self.now_ns - span_ns, self.began_ns), self.now_ns, step_ns))
        return sorted(at for at in looks if not self.down[0] < at < self.down[1])

    def arriving(self, moment: int) -> Iterator[Line]:
        """What has reached the collector since the moment before."""
        while self._next < len(self._deliveries) and self._deliveries[self._next][0] <= moment:
            yield from self._deliveries[self._next][2]()
            self._next += 1

    def due_deeds(self, moment: int) -> list[Callable[[World], object]]:
        """What people do by then."""
        number = bisect_right(self._deeds, moment, key=lambda each: each[0])
        deeds, self._deeds = self._deeds[:number], self._deeds[number:]
        return [deed for _, deed in deeds]


def _weekday(workflow: Workflow, at_ns: int) -> float:
    day = datetime.fromtimestamp(at_ns // S, UTC).weekday()
    return 1.0 if not workflow.is_weekly else (1.5, 1.0, 1.0, 1.0, 1.1, 0.6, 0.5)[day]


def _grace_ns(workflow: Workflow, gap_ns: int) -> int:
    named = workflow.schedule.get("after", {}).get("within") or workflow.grace
    return Limits(None if named is None else round(seconds(named) * S), None, 0).grace_of(gap_ns)


def _failing(run: Run) -> Run:
    """The same run with a bad end, sooner than usual; it is told whole, so that people see why."""
    run.state, run.error, run.is_told_whole = "failed", run.of.error, True
    run.took_ns = round(run.took_ns * run.chance.uniform(0.3, 0.9))
    return run


# -- the characters ------------------------------------------------------------------------------------------------------


def _over(plan: Plan, runs: Sequence[Run], hours: float = 0) -> int:
    """The index of the last run that was over so many hours ago."""
    return max(i for i, run in enumerate(runs) if run.ended_ns < plan.now_ns - hours * HOUR)


def _nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """It stopped running, long enough ago for its dependents to have noticed. People changed its policy before."""
    plan.broken_ns = max(run.due_ns or 0 for run in runs if (run.due_ns or 0) < plan.now_ns - 6 * HOUR)
    plan.look(plan.broken_ns + 15 * MINUTE + S)
    document: dict[str, Any] = {"schedule": {**runs[0].of.schedule, "grace": "15m"}}
    plan.put(plan.ago(0.8 * plan.days), data.NIGHTLY, document, "maya", "10 minutes are not enough on Mondays")
    document = {**document, "expect": {"max_duration": "2h"}}
    plan.put(plan.ago(0.5 * plan.days), data.NIGHTLY, document, "jonas", "the warehouse closes at five")
    document = {**document, "alert": {"channels": ["ops"], "remind": "4h"}}
    plan.put(plan.ago(0.3 * plan.days), data.NIGHTLY, document, "maya", "say it again before the office opens")
    return [run for run in runs if (run.due_ns or 0) < plan.broken_ns]


def _reads_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """What it reads was not made, so it fails."""
    return [_failing(run) if run.started_ns > plan.broken_ns else run for run in runs]


def _waits_for_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """What it waits for was not made, so it does not start."""
    return [run for run in runs if run.started_ns < plan.broken_ns]


def _follows_nightly(plan: Plan, runs: list[Run]) -> list[Run]:
    """Somebody starts it by hand when it did not come, and it fails."""
    by_hand = Run(runs[0].of, runs[0].host, plan.broken_ns + 50 * MINUTE, 35 * S, plan.seed)
    return [*runs, _failing(by_hand)]


def _orders(plan: Plan, runs: list[Run]) -> list[Run]:
    """Its database went away two runs ago."""
    last = _over(plan, runs)
    for run in runs[last - 1 : last + 1]:
        _failing(run)
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
    run = plan.marks["settled"] = _failing(runs[_over(plan, runs, 8)])
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
    plan.do(at_ns, lambda world: world.pause(data.PAUSED, "jonas", "the partner moves its API"))
    return [run for run in _lost_some(plan, runs) if run.started_ns < at_ns]


def _never_ran(plan: Plan, runs: list[Run]) -> list[Run]:
    """There is a policy, and nothing ever ran."""
    month = datetime.fromtimestamp((plan.now_ns + 100 * DAY) // S, UTC).month
    document = {"kind": "manual", "schedule": {"on_calendar": f"*-{month:02}-01 09:00", "tz": data.BERLIN}}
    plan.put(plan.ago(min(2, 0.25 * plan.days)), data.NEVER_RAN, document, "maya", "the auditors ask for it")
    return runs


def _service(plan: Plan, runs: list[Run]) -> list[Run]:
    """One run that does not end, and tells how far it is."""
    workflow = next(each for each in data.CAST if each.name == data.SERVICE)
    run = plan.marks["service"] = Run(workflow, workflow.hosts[0], plan.ago(min(2.5, 0.5 * plan.days)), 1000 * DAY, plan.seed)
    for at_ns in range(run.started_ns + 10 * MINUTE, plan.now_ns, 10 * MINUTE):
        plan.deliver(at_ns, lambda at_ns=at_ns: [data.sign_of_life(run, at_ns)])  # type: ignore[misc]
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
    data.NIGHTLY: _nightly,
    "report.revenue": _reads_nightly,
    "report.digest": _follows_nightly,
    "ml.train_churn": _waits_for_nightly,
    data.ORDERS: _orders,
    "ml.embeddings": _hangs,
    "backup.postgres": _vanishes,
    "billing.invoices": _cancelled,
    "billing.dunning": _settled,
    "crm.sync": _late,
    "infra.certs": _early,
    "report.kpi": _short,
    data.PAUSED: _paused,
    data.NEVER_RAN: _never_ran,
    data.SERVICE: _service,
    "etl.warehouse": _retried,
    "ingest.clickstream": _drifting,
    "ml.features": _bimodal,
    "sync.inventory": _running,
    data.UNKNOWN: _deployed_while_down,
}


# -- the collector -------------------------------------------------------------------------------------------------------


class World:
    """The collector in ``home``, at a time that is set: as ``rota_collector.__main__`` wires it, one step after the other."""

    def __init__(self, home: Path, began_ns: int) -> None:
        self.home, self._opened = home, ExitStack()
        self._opened.callback(os.close, home_dir.lock(home))
        self.clock = ManualClock(began_ns)
        self.journal = Journal(home / "journal", clock=self.clock)
        self._opened.callback(self.journal.close)
        self.telemetry = Telemetry.open(home / "telemetry.duckdb")
        self._opened.callback(self.telemetry.close)
        self.control = Control(home / "control.sqlite")
        self._opened.callback(self.control.close)
        self.expectations = Expectations(self.control.engine, self.clock)
        self.control.observer = self.expectations
        self.alerts = Alerts(self.control.engine)
        self.alerts.add_channel("ops", CHANNEL, now_ns=began_ns, shown="https://hooks.acme.invalid/…")
        tools = Tools(self.expectations, self.alerts, self._last_sign, "http://127.0.0.1:8501")
        self.monitor = Monitor(tools, self.journal, self.control.offset, self.clock, Config.settle_ns)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_error: object) -> None:
        self._opened.close()

    def at(self, moment: int, arriving: Iterable[Line], plan: Plan) -> None:
        """What reaches the collector by then, then what people do, then a tick of the monitor."""
        self.clock.set_ns(moment)
        for payload in _requests(arriving):
            self.journal.append_blocking(*payload)
        self._follow_control()
        for deed in plan.due_deeds(moment):
            deed(self)
        if moment != plan.down[1]:
            self.monitor._last_beat_ns = moment  # the ticks between are left out, not missed
        self.monitor.tick()
        if self.journal.durable_end - self.telemetry.offset() > BATCH_BYTES:
            self._follow_telemetry()

    def finish(self) -> None:
        """Let all that was decided come back through the journal."""
        while self.control.offset() < self.journal.durable_end:
            self._follow_control()
            self.monitor.tick()
        self._follow_telemetry()

    def _follow_control(self) -> None:
        for records in self._records(self.control.offset()):
            self.control.apply(decode.run_events(records), records[-1].next_offset)

    def _follow_telemetry(self) -> None:
        for records in self._records(self.telemetry.offset()):
            self.telemetry.apply(records)

    def _last_sign(self, run_id: str) -> int:
        """What the telemetry knows once it is as far as the journal: it follows in large steps, until somebody asks."""
        self._follow_telemetry()
        return self.telemetry.last_sign(run_id)

    def _records(self, offset: int) -> Iterator[list[Record]]:
        while offset < self.journal.durable_end and (records := self.journal.read(offset, BATCH_BYTES)):
            yield records
            offset = records[-1].next_offset

    def deliver_alerts(self, now_ns: int) -> None:
        """Every alert went out a moment after it was made, as far as anybody knows; the old ones are forgotten."""
        while waiting := self.alerts.page("waiting", None, 500).items:
            for message in waiting:
                self.alerts.mark_sent(message.id, message.created_ns + S)
        self.alerts.prune(now_ns)

    # -- what people do -----------------------------------------------------------------------------------------------

    def put(self, workflow: str, document: dict[str, Any], author: str, reason: str) -> None:
        """Store a policy."""
        self.expectations.policies.put({workflow: document}, author=author, reason=reason, now_ns=self.clock.now_ns())

    def maintain(self, pattern: str, from_ns: int, until_ns: int, by: str, reason: str) -> None:
        """Expect nothing of these workflows for a while."""
        self.expectations.quiet.add_maintenance(
            workflow=pattern, host="*", from_ns=from_ns, until_ns=until_ns, reason=reason, by=by
        )

    def pause(self, workflow: str, by: str, reason: str) -> None:
        """Expect nothing of a workflow until somebody resumes it."""
        self.expectations.quiet.pause(workflow, until_ns=None, by=by, reason=reason, now_ns=self.clock.now_ns())

    def acknowledge(self, workflow: str, by: str) -> None:
        """Somebody looks into the workflow's open incident."""
        self.expectations.incidents.acknowledge(self._open_incident(workflow), by, self.clock.now_ns())

    def snooze(self, workflow: str, until_ns: int) -> None:
        """Nobody wants to hear of it until then."""
        self.expectations.incidents.snooze(self._open_incident(workflow), until_ns, self.clock.now_ns())

    def close_incident(self, workflow: str, by: str) -> None:
        """A person settles it."""
        self.expectations.incidents.close(self._open_incident(workflow), by, self.clock.now_ns())

    def _open_incident(self, workflow: str) -> str:
        return self.expectations.incidents.page(IncidentFilter("open", workflow)).items[0].id

    def incidents(self) -> Iterator[Incident]:
        """All of them, the last opened first."""
        found = self.expectations.incidents.page(IncidentFilter(), None, 500)
        yield from found.items
        while found.next is not None:
            found = self.expectations.incidents.page(IncidentFilter(), found.next, 500)
            yield from found.items


def _requests(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines of a signal put together into requests of some size."""
    waiting: dict[Signal, list[bytes]] = {}
    sizes: Counter[Signal] = Counter()
    for signal, line in lines:
        waiting.setdefault(signal, []).append(line)
        sizes[signal] += len(line)
        if sizes[signal] > REQUEST_BYTES:
            del sizes[signal]
            yield signal, events.joined(waiting.pop(signal))
    for signal, some in waiting.items():
        yield signal, events.joined(some)


def _story(world: World, plan: Plan, large_run: Run | None, hostile_run: Run | None) -> Story:
    """What there is to see, as the stores tell it; where several fit, one of a hand-written workflow."""
    cast = {each.name for each in data.CAST}
    found: dict[str, str] = {}
    for incident in sorted(world.incidents(), key=lambda each: each.workflow not in cast):
        name = _special(incident)
        if name is not None:
            found.setdefault(name, incident.id)
    runs = {name: run.run_id for name, run in plan.marks.items()}
    return Story(
        world.home, plan.now_ns, runs["failed"], runs["running"], data.NIGHTLY, data.DEPENDENTS, data.UNKNOWN, data.PAUSED,
        data.NEVER_RAN, runs, found, large_run.run_id if large_run else None, hostile_run.run_id if hostile_run else None,
    )  # fmt: skip


def _special(incident: Incident) -> str | None:
    """What an incident is an example of: its kind, when it is open and nobody cared yet."""
    if incident.kind in (HOST_SILENT, DOWNTIME):
        return incident.kind
    if incident.closed_ns is not None:
        return "closed_by_person" if incident.closed_by else None
    if incident.suppressed_by is not None:
        return "suppressed"
    if incident.acked_ns is not None:
        return "acknowledged"
    return "snoozed" if incident.snoozed_until_ns is not None else incident.kind


# -- the command ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Make a history and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description="Make the home of a collector with a history.")
    parser.add_argument("home", type=Path, help="a folder that holds none yet")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--workflows", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="with a run of 50,000 spans")
    parser.add_argument("--hostile", action="store_true", help="with a run whose texts are attacks")
    asked = vars(parser.parse_args(arguments))
    began = time.monotonic()
    try:
        story = make(asked.pop("home").absolute(), **asked)
    except (CollectorError, FileExistsError, ValueError) as error:
        print(f"bench.history: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}: {value}" for name, value in story._asdict().items()))
    print(f"made in {time.monotonic() - began:.0f} s; look at it with: ROTA_HOME={story.home} rota collector")
    return 0


if __name__ == "__main__":
    sys.exit(main())
