"""The waiting room, turn by turn, on real stores and a clock that is told to move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from asking import SECOND, T0, new_stores

from rota.rules.fold import RunEvent
from rota_collector.api.app import Stores
from rota_collector.domain.admission import Question
from rota_collector.domain.reach import Reach
from rota_collector.errors import ForeignTicket, InFlight, KeyReused, StoreError
from rota_collector.store.approvals import Approvals
from rota_collector.store.leases import Lease
from rota_collector.store.questions import Permission
from rota_collector.watch.waiting import Waiting


class Rooms:
    """A waiting room on stores of its own; it takes its turns when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.stores: Stores = new_stores(folder)
        self.clock: Any = self.stores.clock
        self.room = Waiting(self.stores.expectations, self.clock)

    def policy(self, workflow: str, **document: Any) -> None:
        self.stores.expectations.policies.put({workflow: document}, author="ada", reason=None, now_ns=self.clock.now_ns())

    def ask(self, run: str, workflow: str = "w", wait: float = 20.0, **more: Any) -> Future[Permission]:
        """Ask, and have the room take its turn."""
        options = {name: more.pop(name) for name in ("ticket", "key", "payload") if name in more}
        answer = self.room.ask(
            Question(workflow, run, **more), options.get("ticket"), options.get("key"), options.get("payload", ""), wait
        )
        self.turns()
        return answer

    def turns(self) -> None:
        while self.room.turn():
            pass

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turns()

    def release(self, permission: Permission) -> None:
        for lease in permission.leases:
            assert self.settled(self.room.release(lease.id, lease.token)) is not None

    def settled(self, answer: Future[Lease | None]) -> Lease | None:
        self.turns()
        return answer.result(0)

    def ran(self, run: str, workflow: str, state: str, at_ns: int = 0, **more: Any) -> None:
        """A run that ended so."""
        at_ns = at_ns or self.clock.now_ns()
        begin = RunEvent(f"{run} begins", run, workflow, "running", at_ns - SECOND)
        end = RunEvent(f"{run} ends", run, workflow, state, at_ns, started_ns=at_ns - SECOND, **more)
        self.stores.control.apply([begin, end], self.stores.control.offset() + 1)
        self.turns()

    def start_again(self) -> None:
        self.room = Waiting(self.stores.expectations, self.clock)

    def decisions(self, run: str) -> list[str]:
        """What was decided of a run, as it will be told."""
        found = []
        _, lines = self.stores.expectations.queued(1000)
        for record in json.loads(f"[{','.join(lines)}]"):
            said = {each["key"]: next(iter(each["value"].values())) for each in record["attributes"]}
            if said["cicd.pipeline.run.id"] == run:
                found.append(said["rota.gate.answer"])
        return found


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    made = Rooms(tmp_path)
    yield made
    made.stores.control.close()


def answer_of(asked: Future[Permission]) -> str:
    """Its answer; ``…`` while there is none."""
    return asked.result(0).answer if asked.done() else "…"


ONE = {"gates": [{"kind": "concurrency", "limit": 1}]}
T = T0 // SECOND


def test_without_a_policy_that_asks_everybody_goes(rooms: Rooms) -> None:
    """Nothing is asked of it, and nothing is written down."""
    assert answer_of(rooms.ask("r1")) == "go"
    assert rooms.decisions("r1") == []


def test_the_next_one_goes_when_a_lease_is_released(rooms: Rooms) -> None:
    """In the order in which they asked, each with a lease of its own and a greater token."""
    rooms.policy("w", **ONE)
    asked = []
    for number in range(4):
        asked.append(rooms.ask(f"r{number}"))
        rooms.clock.advance(0.001)
    tokens = []
    for number in range(4):
        assert [answer_of(each) for each in asked] == ["go"] * (number + 1) + ["…"] * (3 - number)
        (lease,) = asked[number].result().leases
        assert lease.scope == "workflow w"
        tokens.append(lease.token)
        rooms.release(asked[number].result())
    assert tokens == sorted(set(tokens))


def test_a_higher_priority_comes_first(rooms: Rooms) -> None:
    """Whoever asked before it; the policy's word counts more than the asker's."""
    for name, document in (("w", {}), ("urgent", {"priority": 50})):
        rooms.policy(name, gates=[{"kind": "concurrency", "limit": 1, "scope": "gpu"}], **document)
    holder = rooms.ask("r0")
    first, boasting, urgent = rooms.ask("r1"), rooms.ask("r2", priority=40), rooms.ask("r3", "urgent", priority=1)
    order = []
    for asked in (urgent, boasting, first):
        rooms.release((order[-1] if order else holder).result())
        order.append(asked)
        assert answer_of(asked) == "go"


def test_an_expired_lease_frees_its_part(rooms: Rooms) -> None:
    """A holder that says nothing has lost it after its time; one that renews has not."""
    rooms.policy("w", **ONE)
    holder, second = rooms.ask("r1"), rooms.ask("r2", wait=300)
    (lease,) = holder.result().leases
    rooms.wait(40)
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is not None
    rooms.wait(59)
    assert answer_of(second) == "…"
    rooms.wait(1)
    assert answer_of(second) == "go"
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is None


def test_wait_is_said_when_the_time_is_up_and_the_place_is_kept(rooms: Rooms) -> None:
    """Asked again with its ticket, it stands before those who asked after it."""
    rooms.policy("w", **ONE)
    holder = rooms.ask("r1")
    early = rooms.ask("r2", wait=10)
    rooms.wait(1)
    late = rooms.ask("r3", wait=60)
    rooms.wait(9)
    told = early.result(0)
    assert (told.answer, told.kind, told.gate) == ("wait", "concurrency", 0)
    again = rooms.ask("r2", ticket=told.ticket, wait=10)
    rooms.release(holder.result())
    assert (answer_of(again), answer_of(late)) == ("go", "…")


def test_who_asks_with_no_time_is_told_at_once(rooms: Rooms) -> None:
    """``wait_seconds`` 0: the answer as it is now, and a place in the line."""
    rooms.policy("w", **ONE)
    rooms.ask("r1")
    assert answer_of(rooms.ask("r2", wait=0)) == "wait"


def test_a_ticket_that_nobody_asks_about_leaves(rooms: Rooms) -> None:
    """After 30 s its place is gone, and those behind it come first."""
    rooms.policy("w", **ONE)
    holder = rooms.ask("r1", wait=0)
    gone = rooms.ask("r2", wait=0)
    rooms.clock.advance(1)
    other = rooms.ask("r3", wait=200)
    rooms.wait(30)
    assert rooms.room.waiters() != []
    again = rooms.ask("r2", ticket=gone.result().ticket, wait=200)
    rooms.release(holder.result())
    assert (answer_of(other), answer_of(again)) == ("go", "…")


def test_who_went_away_is_not_granted_anything(rooms: Rooms) -> None:
    """A request that was given up holds nobody up."""
    rooms.policy("w", **ONE)
    holder = rooms.ask("r1")
    away, there = rooms.ask("r2"), rooms.ask("r3")
    away.cancel()
    rooms.release(holder.result())
    assert answer_of(there) == "go"


def test_a_run_that_asks_twice_at_once_is_answered_twice(rooms: Rooms) -> None:
    """The later request takes the place of the earlier, which is told to wait."""
    rooms.policy("w", **ONE)
    rooms.ask("r1")
    both = [rooms.room.ask(Question("w", "r2"), None, None, "", 20) for _ in range(2)]
    rooms.turns()
    assert [answer_of(each) for each in both] == ["wait", "…"]


def test_all_of_it_or_nothing(rooms: Rooms) -> None:
    """Who needs two scopes takes neither before it has both."""
    rooms.policy("both", gates=[{"kind": "concurrency", "limit": 1, "scope": name} for name in ("a", "b")])
    for name in "ab":
        rooms.policy(f"only {name}", gates=[{"kind": "concurrency", "limit": 1, "scope": name}])
    holder = rooms.ask("r1", "only a")
    both = rooms.ask("r2", "both")
    assert answer_of(both) == "…"
    other = rooms.ask("r3", "only b")
    assert answer_of(other) == "go"
    rooms.release(holder.result())
    assert answer_of(both) == "…"
    rooms.release(other.result())
    assert sorted(lease.scope for lease in both.result(0).leases) == ["pool a", "pool b"]


def test_a_small_one_passes_a_large_one_for_a_minute(rooms: Rooms) -> None:
    """Then the large one holds up all behind it, until it has its turn."""
    for name, weight in (("large", 3), ("small", 1)):
        rooms.policy(name, gates=[{"kind": "concurrency", "limit": 3, "scope": "gpu", "weight": weight}])
    holder, large = rooms.ask("r1", "small"), rooms.ask("r2", "large", wait=500)
    passing = rooms.ask("r3", "small")
    assert (answer_of(large), answer_of(passing)) == ("…", "go")
    rooms.wait(59)
    for each in (holder, passing):
        rooms.settled(rooms.room.renew(each.result().leases[0].id, each.result().leases[0].token))
    rooms.wait(1)
    behind = rooms.ask("r4", "small", wait=500)
    assert answer_of(behind) == "…"
    rooms.release(holder.result())
    assert (answer_of(large), answer_of(behind)) == ("…", "…")
    rooms.release(passing.result())
    assert (answer_of(large), answer_of(behind)) == ("go", "…")


def test_the_smallest_limit_of_a_pool_holds(rooms: Rooms) -> None:
    """Of all policies that name it, whosever run asks; when the one with the smallest goes, the next smallest does."""
    for name, limit in (("a", 5), ("b", 1)):
        rooms.policy(name, gates=[{"kind": "concurrency", "limit": limit, "scope": "gpu"}])
    assert answer_of(rooms.ask("r1", "a")) == "go"
    waiting = rooms.ask("r2", "a")
    assert answer_of(waiting) == "…"
    rooms.policy("b")
    rooms.turns()
    assert answer_of(waiting) == "go"


def test_a_policy_that_changes_is_heeded_by_who_waits(rooms: Rooms) -> None:
    """A gate that is taken away holds nobody any more."""
    rooms.policy("w", **ONE)
    rooms.ask("r1")
    waiting = rooms.ask("r2")
    rooms.policy("w", retry={"attempts": 2})
    rooms.turns()
    assert answer_of(waiting) == "go"


def test_a_rate_counts_starts_and_nobody_can_give_them_back(rooms: Rooms) -> None:
    """Two within a minute; the third goes when the first is a minute ago."""
    rooms.policy("w", gates=[{"kind": "rate", "limit": 2, "per": "1m"}])
    assert answer_of(rooms.ask("r1")) == "go"
    rooms.wait(10)
    second = rooms.ask("r2")
    assert (answer_of(second), second.result().leases) == ("go", ())
    third = rooms.ask("r3", wait=300)
    rooms.wait(49.9)
    assert answer_of(third) == "…"
    rooms.wait(0.1)
    assert answer_of(third) == "go"


def test_upstream_wakes_who_waits_for_it(rooms: Rooms) -> None:
    """As soon as its run is known to have ended as it must."""
    rooms.policy("w", gates=[{"kind": "upstream", "workflow": "orders", "fresh_within": "1h"}])
    waiting = rooms.ask("r1", wait=100)
    rooms.ran("u1", "orders", "failed")
    assert answer_of(waiting) == "…"
    rooms.wait(2)
    rooms.ran("u2", "orders", "succeeded")
    assert answer_of(waiting) == "go"


def test_upstream_is_shared_or_it_says_nothing(rooms: Rooms) -> None:
    """A key for w learns nothing of orders, unless orders shares `gate` with it."""
    rooms.policy("w", gates=[{"kind": "upstream", "workflow": "orders"}])
    rooms.ran("u1", "orders", "succeeded")
    mine = Reach(("w",))
    denied = rooms.ask("r1", reach=mine).result(0)
    assert (denied.answer, denied.kind) == ("deny", "upstream")
    assert "share" in denied.reason
    rooms.policy("orders", share={"gate": ["w"]})
    assert answer_of(rooms.ask("r2", reach=mine)) == "go"


def test_a_breaker_opens_and_lets_one_try(rooms: Rooms) -> None:
    """After so many known failures in a row it denies; after the cool-down one run tries, and its success closes it."""
    rooms.policy("w", gates=[{"kind": "breaker", "failures": 2, "cool_down": "10m", "on": ["Timeout"]}])
    for run, error in (("f0", "Timeout"), ("f1", "Other"), ("f2", "Timeout")):
        rooms.ran(run, "w", "failed", error_type=error)
        rooms.clock.advance(1)
    assert answer_of(rooms.ask("r1")) == "deny"
    rooms.wait(600)
    trying, other = rooms.ask("r2"), rooms.ask("r3")
    assert (answer_of(trying), answer_of(other)) == ("go", "deny")
    rooms.ran("r2", "w", "succeeded")
    assert answer_of(rooms.ask("r4")) == "go"


def test_a_paused_workflow_is_skipped(rooms: Rooms) -> None:
    """Until it is resumed."""
    rooms.policy("w", **ONE)
    quiet = rooms.stores.expectations.quiet
    quiet.pause("w", until_ns=None, by="ada", reason="we move", now_ns=rooms.clock.now_ns())
    skipped = rooms.ask("r1").result(0)
    assert (skipped.answer, skipped.kind) == ("skip", "pause")
    quiet.resume("w", rooms.clock.now_ns())
    rooms.clock.advance(1)
    assert answer_of(rooms.ask("r2")) == "go"


@pytest.mark.parametrize(("said", "answer"), [("approve", "go"), ("refuse", "deny")])
def test_an_approval_ends_the_wait(rooms: Rooms, said: str, answer: str) -> None:
    """The question makes one; a person's word decides, for this run alone, and is in the record of changes."""
    rooms.policy("w", gates=[{"kind": "approval", "within": "4h"}])
    waiting, other = rooms.ask("r1"), rooms.ask("r2")
    approvals = Approvals(rooms.stores.control.engine)
    asked = {each.run_id: each for each in approvals.page("asked", rooms.clock.now_ns()).items}
    approvals.answer(asked["r1"].id, said, by="ada", comment="fine", now_ns=rooms.clock.now_ns())
    rooms.room.look_again(run_id="r1")
    rooms.turns()
    assert (answer_of(waiting), answer_of(other)) == (answer, "…")
    assert "ada: fine" in waiting.result().reason
    assert [each.action for each in rooms.stores.audit.page(filters_of_approvals()).items] == [f"approval.{said}"]
    assert approvals.answer(asked["r1"].id, "approve", by="bob", comment=None, now_ns=rooms.clock.now_ns()) is None


def filters_of_approvals() -> Any:
    from rota_collector.store.audit import ChangeFilter

    return ChangeFilter(action="approval")


def test_an_approval_that_nobody_gives_ends_by_its_time(rooms: Rooms) -> None:
    """After ``within`` the gate says what it says otherwise."""
    rooms.policy("w", gates=[{"kind": "approval", "within": "10m"}])
    waiting = rooms.ask("r1", wait=3600)
    rooms.wait(599)
    assert answer_of(waiting) == "…"
    rooms.wait(1)
    assert answer_of(waiting) == "deny"
    approvals = Approvals(rooms.stores.control.engine)
    (expired,) = approvals.page("expired", rooms.clock.now_ns()).items
    assert approvals.answer(expired.id, "approve", by="ada", comment=None, now_ns=rooms.clock.now_ns()) is None


def test_a_window_that_opens_wakes_who_waits(rooms: Rooms) -> None:
    """At that time, in the zone of the schedule."""
    rooms.policy("w", gates=[{"kind": "window", "only": "15:00-16:00"}])  # T0 is 14:13:20 in UTC
    waiting = rooms.ask("r1", wait=7200)
    rooms.wait(46 * 60)
    assert answer_of(waiting) == "…"
    rooms.wait(40)
    assert answer_of(waiting) == "go"


def test_who_waits_as_long_as_it_may_is_told_otherwise(rooms: Rooms) -> None:
    """Also deep in a line, where nobody looks."""
    rooms.policy("w", gates=[{"kind": "concurrency", "limit": 1, "wait_at_most": "50s", "otherwise": "skip"}])
    holder = rooms.ask("r1")
    waiting = [rooms.ask(f"w{number}", wait=300) for number in range(3)]
    rooms.wait(49)
    rooms.settled(rooms.room.renew(holder.result().leases[0].id, holder.result().leases[0].token))
    assert [answer_of(each) for each in waiting] == ["…"] * 3
    rooms.wait(1.1)
    assert [answer_of(each) for each in waiting] == ["skip"] * 3


def test_what_the_host_found_counts(rooms: Rooms) -> None:
    """Gates that only the host can look at say what it told; when it told nothing, on_unreachable does."""
    rooms.policy("w", gates=[{"kind": "probe", "file": "/data/ready", "on_unreachable": "skip"}])
    local = {0: {"answer": "deny", "reason": "no such file", "facts": {}}}
    assert answer_of(rooms.ask("r1", local=local)) == "deny"
    assert answer_of(rooms.ask("r2")) == "skip"


def test_only_another_answer_is_news(rooms: Rooms) -> None:
    """Waiting is told once, however often it is asked, and going once more."""
    rooms.policy("w", **ONE)
    holder = rooms.ask("r1")
    ticket = rooms.ask("r2", wait=0).result().ticket
    for _ in range(3):
        rooms.wait(5)
        rooms.ask("r2", ticket=ticket, wait=0)
    assert rooms.decisions("r2") == ["wait"]
    rooms.release(holder.result())
    assert answer_of(rooms.ask("r2", ticket=ticket, wait=0)) == "go"
    assert answer_of(rooms.ask("r2", ticket=ticket, wait=0)) == "go"
    assert rooms.decisions("r2") == ["wait", "go"]


def test_the_same_ticket_gets_the_same_lease(rooms: Rooms) -> None:
    """Also without its ticket, and after the collector was started again: an answer that was lost costs no capacity."""
    rooms.policy("w", **ONE)
    (lease,) = rooms.ask("r1").result().leases
    rooms.start_again()
    rooms.wait(30)
    (again,) = rooms.ask("r1").result(0).leases
    assert (again.id, again.token) == (lease.id, lease.token)
    assert again.expires_ns == rooms.clock.now_ns() + 60 * SECOND


def test_a_place_in_the_line_outlives_the_collector(rooms: Rooms) -> None:
    """Who waited before it was started again comes before who asked since."""
    rooms.policy("w", **ONE)
    holder = rooms.ask("r1")
    ticket = rooms.ask("r2", wait=0).result().ticket
    rooms.clock.advance(1)
    rooms.start_again()
    later, again = rooms.ask("r3"), rooms.ask("r2", ticket=ticket)
    rooms.release(holder.result())
    assert (answer_of(again), answer_of(later)) == ("go", "…")


def test_an_idempotency_key_is_told_the_same(rooms: Rooms) -> None:
    """Sent again it has the stored answer; with another request it is refused, and so is one that is being answered."""
    rooms.policy("w", **ONE)
    first = rooms.ask("r1", key="k1", payload="p").result(0)
    again = rooms.ask("r1", key="k1", payload="p").result(0)
    assert (again.ticket, [lease.id for lease in again.leases]) == (first.ticket, [lease.id for lease in first.leases])
    assert isinstance(rooms.ask("r1", key="k1", payload="q").exception(0), KeyReused)
    waiting = rooms.ask("r2", key="k2", payload="p")
    with pytest.raises(InFlight):
        rooms.ask("r2", key="k2", payload="p")
    waiting.cancel()
    assert answer_of(rooms.ask("r2", key="k2", payload="p", wait=0)) == "wait"
    rooms.release(first)
    assert answer_of(rooms.ask("r2", key="k2", payload="p", wait=0)) == "wait"


def test_a_stored_go_is_not_told_when_its_leases_are_over(rooms: Rooms) -> None:
    """Who was granted something and lost it is asked about anew."""
    rooms.policy("w", **ONE)
    rooms.ask("r1", key="k1", payload="p")
    rooms.wait(61)
    assert answer_of(rooms.ask("r2")) == "go"
    assert answer_of(rooms.ask("r1", key="k1", payload="p", wait=0)) == "wait"


def test_a_ticket_of_another_question_is_refused(rooms: Rooms) -> None:
    """So is a run that is another workflow's."""
    rooms.policy("w", **ONE)
    ticket = rooms.ask("r1").result().ticket
    assert isinstance(rooms.ask("r2", ticket=ticket).exception(0), ForeignTicket)
    rooms.ran("theirs", "other", "succeeded")
    assert isinstance(rooms.ask("theirs").exception(0), ForeignTicket)


def test_a_turn_that_fails_has_changed_nothing(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked is told, who waited waits, what changed is heeded by the next turn."""
    from rota_collector.store import incidents

    rooms.policy("w", **ONE)
    holder, waiting = rooms.ask("r1"), rooms.ask("r2")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(incidents, "queue", broken)
        failing = rooms.room.ask(Question("w", "r3"), None, None, "", 20)
        released = rooms.room.release(holder.result().leases[0].id, holder.result().leases[0].token)
        rooms.policy("w", gates=[{"kind": "concurrency", "limit": 2}])
        with pytest.raises(OSError, match="disk full"):
            rooms.room.turn()
    assert isinstance(failing.exception(0), StoreError)
    assert isinstance(released.exception(0), StoreError)
    assert answer_of(waiting) == "…"
    rooms.turns()
    assert answer_of(waiting) == "go"
    assert answer_of(rooms.ask("r4", wait=0)) == "wait"
    assert rooms.decisions("r3") == []


def test_all_are_woken_in_the_order_in_which_they_asked(rooms: Rooms) -> None:
    """A limit that is raised lets all go that fit, the first first, in turns that hold the store only for a moment."""
    rooms.policy("w", **ONE)
    rooms.ask("r")
    asked = [rooms.room.ask(Question("w", f"r{number}"), None, None, "", 600) for number in range(600)]
    rooms.turns()
    order: list[int] = []
    for number, each in enumerate(asked):
        each.add_done_callback(lambda _, number=number: order.append(number))
    rooms.policy("w", gates=[{"kind": "concurrency", "limit": 1000}])
    rooms.turns()
    assert order == list(range(600))
