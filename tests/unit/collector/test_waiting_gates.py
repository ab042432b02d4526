"""What each kind of gate does to who waits, and what wakes them: turn by turn, on real stores."""

from __future__ import annotations

from typing import Any

import pytest
from rooms import ONE, Rooms, answer_of

from rota_collector.domain.reach import Reach
from rota_collector.store.approvals import Approvals


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
