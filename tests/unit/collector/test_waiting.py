"""The waiting room, turn by turn, on real stores and a clock that is told to move."""

from __future__ import annotations

import pytest
from asking import SECOND
from rooms import ONE, Rooms, answer_of

from rota_collector.domain.admission import Question
from rota_collector.errors import ForeignTicket, InFlight, KeyReused, StoreError
from rota_collector.store import quiet


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


def test_nobody_passes_who_is_between_two_questions(rooms: Rooms) -> None:
    """Who was told to ask again a moment ago is on its way; one who does not come within a second has lost the turn."""
    rooms.policy("w", **ONE)
    holder, early = rooms.ask("r1"), rooms.ask("r2", wait=2)
    rooms.clock.advance(0.5)
    late = rooms.ask("r3", wait=60)
    rooms.wait(1.5)
    assert answer_of(early) == "wait"
    rooms.release(holder.result())
    assert answer_of(late) == "…"
    rooms.wait(0.4)
    again = rooms.ask("r2", ticket=early.result(0).ticket, wait=2)
    assert (answer_of(again), answer_of(late)) == ("go", "…")
    rooms.release(again.result())
    assert answer_of(late) == "go"
    gone = rooms.ask("r4", wait=2)
    rooms.wait(2)
    behind = rooms.ask("r5", wait=60)
    rooms.release(late.result())
    assert (answer_of(gone), answer_of(behind)) == ("wait", "…")
    rooms.wait(1)
    assert answer_of(behind) == "go"


def test_a_large_one_between_two_questions_holds_up_no_small_one_that_it_does_not_fit_with(rooms: Rooms) -> None:
    """It could not go anyway."""
    for name, weight in (("large", 3), ("small", 1)):
        rooms.policy(name, gates=[{"kind": "concurrency", "limit": 3, "scope": "gpu", "weight": weight}])
    rooms.ask("r1", "small")
    assert answer_of(rooms.ask("r2", "large", wait=1)) == "…"
    rooms.wait(1)
    assert answer_of(rooms.ask("r3", "small")) == "go"


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


def test_what_was_held_when_the_collector_stopped_is_held_on(rooms: Rooms) -> None:
    """Nobody could renew it meanwhile; whoever does not come back loses it after its time. What was over by then stays over."""
    for name in ("w", "v"):
        rooms.policy(name, **ONE)
    gone, holder = rooms.ask("r0", "v"), rooms.ask("r1")
    rooms.wait(40)
    (lease,) = holder.result().leases
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is not None
    rooms.wait(30)  # the other one is over now
    with rooms.stores.expectations.transaction() as connection:
        quiet.beat(connection, rooms.clock.now_ns())
    rooms.clock.advance(3600)
    rooms.start_again()
    assert [answer_of(rooms.ask("r2")), answer_of(rooms.ask("r3", "v"))] == ["…", "go"]
    assert answer_of(gone) == "go"
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is not None
    rooms.start_again()
    third = rooms.ask("r4", wait=300)
    rooms.wait(59)
    assert answer_of(third) == "…"
    rooms.wait(1)
    assert answer_of(third) == "go"


def test_a_grant_after_a_lost_one_is_another_decision(rooms: Rooms) -> None:
    """Each is kept, with an id of its own; the same answer told again has the same one."""
    rooms.policy("w", **ONE)
    first = rooms.ask("r1").result()
    assert rooms.ask("r1", ticket=first.ticket).result().decision_id == first.decision_id
    rooms.wait(61)
    again = rooms.ask("r1", ticket=first.ticket).result()
    assert (again.answer, again.ticket) == ("go", first.ticket)
    assert again.decision_id != first.decision_id
