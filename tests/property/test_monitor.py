"""The monitor under everything that can go wrong with time and delivery.

A workflow runs as it runs; what is told of it arrives late, twice, in any order, or after an outage of the collector; the
clock jumps. In the end every slot has the one verdict that the truth gives it, and nobody was told anything twice.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from watched import HOUR, MINUTE, T0, S, Watched

from rota.rules.fold import RunEvent
from rota_collector.domain.slots import VERDICTS

GRACE = 10 * MINUTE


class Monitoring(RuleBasedStateMachine):
    """An hourly workflow, hour after hour."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.world = Watched(Path(self.directory.name), settle_seconds=60)
        self.truth: dict[int, str] = {}  # due → the verdict that the runs deserve
        self.held: list[RunEvent] = []  # told, and not delivered yet
        self.hours = 0

    def teardown(self) -> None:
        """Let go of the files."""
        self.world.control.close()
        self.directory.cleanup()

    @initialize()
    def begin(self) -> None:
        """There is somebody to tell, and something to expect."""
        self.world.channel()
        self.world.policy("etl", schedule={"cron": "0 * * * *", "grace": "10m"})
        self.world.at(T0 + S)

    @rule(
        delay=st.sampled_from([None, 0, 3 * MINUTE, 25 * MINUTE]),
        state=st.sampled_from(["succeeded", "failed"]),
        held=st.booleans(),
        twice=st.booleans(),
    )
    def an_hour(self, delay: int | None, state: str, held: bool, twice: bool) -> None:
        """The next slot comes, with a run or without, told at once or later."""
        self.hours += 1
        due = T0 + self.hours * HOUR
        self.world.pass_until(due - S)
        self.truth[due] = "missed" if delay is None else "late" if delay > GRACE else "on_time"
        if delay is not None:
            start = self.world.event(f"r{self.hours}", "running", due + delay)
            end = self.world.event(f"r{self.hours}", state, due + delay + S, started_ns=due + delay)
            events = [start, end, *([start] if twice else [])]
            if held:
                self.held += events
            else:
                self.world.pass_until(due + delay + 2 * S)
                self.world.apply(*events)
        self.world.pass_until(due + 30 * MINUTE)

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """What was held arrives, in any order."""
        events = data.draw(st.permutations(self.held))
        for event in events:
            self.world.apply(event)
        self.held = []
        self.world.at(self.world.clock.now_ns() + S)

    @rule(lasts=st.sampled_from([MINUTE, HOUR, 5 * HOUR]))
    def the_collector_is_down(self, lasts: int) -> None:
        """Nobody watches for a while; the workflow does not run meanwhile, or it is told of later."""
        self.world.control.close()
        now = self.world.clock.now_ns()
        while T0 + (self.hours + 1) * HOUR <= now + lasts:
            self.hours += 1
            self.truth[T0 + self.hours * HOUR] = "missed"
        self.world.clock.set_ns(now + lasts)
        self.world.restart()
        self.world.at(now + lasts)
        self.world.pass_until(now + lasts + 90 * S)

    @rule()
    def killed(self) -> None:
        """The process dies and is there again at once."""
        self.world.control.close()
        self.world.restart()

    @rule()
    def the_clock_is_set_back(self) -> None:
        """Some seconds happen twice."""
        self.world.at(self.world.clock.now_ns() - 20 * S)

    @invariant()
    def every_slot_has_one_row_and_a_legal_verdict(self) -> None:
        """One slot an hour, none twice."""
        slots = self.world.slots()
        assert max(Counter(slot.due_ns for slot in slots).values(), default=1) == 1
        assert all(slot.verdict in (None, *VERDICTS) for slot in slots)

    @invariant()
    def nobody_is_told_of_more_than_there_is(self) -> None:
        """At most an opening and an end for each incident: no storm."""
        incidents = self.world.incidents(None)
        assert len(self.world.told()) <= 2 * len(incidents)
        still_open = Counter((each.kind, each.workflow) for each in incidents if each.closed_ns is None)
        assert max(still_open.values(), default=1) == 1

    def settle(self) -> None:
        """Everything arrives, and time passes."""
        for event in self.held:
            self.world.apply(event)
        self.held = []
        self.world.pass_until(self.world.clock.now_ns() + 3 * MINUTE)


class Settled(Monitoring):
    """The same, and at the end the verdicts are the truth."""

    def teardown(self) -> None:
        """Judge the judge."""
        self.settle()
        now = self.world.clock.now_ns()
        judged = {slot.due_ns: slot.verdict for slot in self.world.slots()}
        expected = {due: verdict for due, verdict in self.truth.items() if due + GRACE + MINUTE < now}
        assert {due: judged.get(due) for due in expected} == expected
        super().teardown()


TestMonitor = Settled.TestCase
TestMonitor.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
TestMonitor.__doc__ = "Whatever happens to clock and delivery, each slot ends with the one true verdict, and there is no storm."
