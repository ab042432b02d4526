"""Leases, whatever happens to them in whatever order, against a model that a person can read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from rota_collector.clock import ManualClock
from rota_collector.domain.admission import Need, Question
from rota_collector.store.dialect import open_sqlite
from rota_collector.store.leases import Lease, Leases

S = 10**9
TTL = 60
LIMITS = {"workflow w": 1, "pool small": 2, "pool large": 5}


class Held(NamedTuple):
    """What the model knows of a grant."""

    scope: str
    weight: int
    token: int
    ticket: str
    expires_ns: int

    def is_live(self, now_ns: int) -> bool:
        return now_ns < self.expires_ns


class Histories(RuleBasedStateMachine):
    """Grants, renewals, releases and time; what the store says of each is what the model says."""

    tickets = Bundle("tickets")
    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.engine = open_sqlite(Path(self.folder.name) / "control.sqlite")
        self.store = Leases(self.engine, self.clock)
        self.held: dict[str, Held] = {}
        self.tokens = dict.fromkeys(LIMITS, 0)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()

    def taken(self, scope: str) -> int:
        now_ns = self.clock.now_ns()
        return sum(each.weight for each in self.held.values() if each.scope == scope and each.is_live(now_ns))

    def live_of(self, ticket: str) -> dict[str, Held]:
        now_ns = self.clock.now_ns()
        return {key: each for key, each in self.held.items() if each.ticket == ticket and each.is_live(now_ns)}

    @rule(target=tickets, number=st.integers(0, 9))
    def somebody(self, number: int) -> str:
        return f"ticket {number}"

    @rule(target=leases, ticket=tickets, wanted=st.dictionaries(st.sampled_from(list(LIMITS)), st.integers(1, 6), min_size=1))
    def acquire(self, ticket: str, wanted: dict[str, int]) -> MultipleResults[Lease]:
        fits = all(self.taken(scope) + weight <= LIMITS[scope] for scope, weight in wanted.items())
        before = self.live_of(ticket)
        needs = [Need(scope, LIMITS[scope], weight, TTL * S) for scope, weight in wanted.items()]
        found = self.store.acquire(ticket, Question("w", "run"), needs)
        if before:
            assert {each.id for each in found or ()} == set(before), "a ticket that holds gets the same again"
            self.note(found or [])
            return multiple()
        assert (found is not None) == fits, "all of it when it fits, else nothing"
        for lease in found or ():
            assert lease.token > self.tokens[lease.scope], "a token is greater than every one before it"
            self.tokens[lease.scope] = lease.token
        self.note(found or [])
        return multiple(*(found or ()))

    def note(self, found: list[Lease]) -> None:
        for each in found:
            assert each.expires_ns == self.clock.now_ns() + TTL * S
            self.held[each.id] = Held(each.scope, each.weight, each.token, each.ticket, each.expires_ns)

    @rule(lease=leases, stale=st.booleans(), after=st.sampled_from([0, 30, TTL]))
    def renew(self, lease: Lease, stale: bool, after: int) -> None:
        """At once, or after a while: also at the very moment at which it expires."""
        self.clock.advance(after)
        is_live = lease.id in self.held and self.held[lease.id].is_live(self.clock.now_ns())
        found = self.store.renew(lease.id, lease.token - stale)
        assert (found is not None) == (is_live and not stale), "only the token of a live lease renews it"
        self.note([found] if found else [])

    @rule(lease=leases, stale=st.booleans(), after=st.sampled_from([0, TTL]))
    def release(self, lease: Lease, stale: bool, after: int) -> None:
        """Likewise."""
        self.clock.advance(after)
        is_live = lease.id in self.held and self.held[lease.id].is_live(self.clock.now_ns())
        found = self.store.release(lease.id, lease.token - stale)
        assert (found is not None) == (is_live and not stale), "only the token of a live lease releases it"
        if found:
            del self.held[lease.id]

    @rule(seconds=st.sampled_from([0, 1, 29, 59, 60, 61]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def start_again(self) -> None:
        """All that counts is in the file."""
        self.store = Leases(self.engine, self.clock)

    @invariant()
    def within_the_limit_and_nothing_leaks(self) -> None:
        if not hasattr(self, "store"):
            return
        live = {each.id: each for each in self.store.live(limit=1000).items}
        expected = {key for key, each in self.held.items() if each.is_live(self.clock.now_ns())}
        assert set(live) == expected, "what is live is what was granted, and neither expired nor was released"
        for scope, limit in LIMITS.items():
            assert sum(each.weight for each in live.values() if each.scope == scope) <= limit


TestLeases = Histories.TestCase
TestLeases.__doc__ = """Never above the limit, all or nothing, tokens only grow, nothing leaks, and a stale token does nothing."""
TestLeases.settings = settings(max_examples=60, stateful_step_count=40)
