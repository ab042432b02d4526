"""Schedules that other systems tell without a run: from the word on they are waited for, until they are taken back."""

from __future__ import annotations

import pytest
from watched import HOUR, MINUTE, T0, S, Watched

from rota_collector.store.slots import SlotFilter


@pytest.fixture
def world(tmp_path):
    """A monitor whose messages go to one channel."""
    world = Watched(tmp_path)
    world.channel()
    return world


def test_a_schedule_that_another_system_tells_is_waited_for_though_nothing_ever_ran(world):
    """Its scheduler may be down since the day that it was set up, which nobody else would notice."""
    world.scheduled("0 * * * *", T0 + 5 * S)
    world.pass_until(T0 + HOUR + 50 * MINUTE)
    assert [(slot.due_ns, slot.verdict) for slot in world.slots()] == [(T0 + HOUR, "missed"), (T0 + 2 * HOUR, None)]


def test_a_schedule_that_was_taken_back_is_waited_for_no_more(world):
    """A workflow that is paused there is not missed here; one that was gone on with is."""
    world.scheduled("0 * * * *", T0 + 5 * S)
    world.at(T0 + 10 * S)
    world.scheduled(None, T0 + HOUR // 2)
    world.pass_until(T0 + 2 * HOUR)
    assert "missed" not in world.verdicts()
    assert world.told() == []
    world.scheduled("0 * * * *", T0 + 2 * HOUR)
    world.pass_until(T0 + 3 * HOUR + 50 * MINUTE)
    assert world.verdicts().count("missed") == 1


def test_on_each_host_where_it_is_told_a_schedule_is_waited_for(world):
    """As of a timer, or a line of a crontab, that several hosts have: the second that tells it changes nothing for the first."""
    for host in ("h1", "h2"):
        world.scheduled("0 * * * *", T0 + 5 * S, host=host)
    world.run("r1", T0 + HOUR + S, host="h1", declared={"schedule": "0 * * * *", "named_by": "script"})
    world.pass_until(T0 + HOUR + 50 * MINUTE)
    found = world.expectations.slots.page(SlotFilter("etl"), None, 100).items
    first = [(row.host, row.slot.verdict) for row in found if row.slot.due_ns == T0 + HOUR]
    assert sorted(first) == [("h1", "on_time"), ("h2", "missed")]


def test_what_was_told_of_a_schedule_before_the_last_word_changes_nothing(world):
    """Systems tell again after a restart, and what they tell may come late."""
    world.scheduled(None, T0 + HOUR)
    world.scheduled("0 * * * *", T0)
    world.scheduled("0 1 * * *", T0 + 2 * HOUR)
    world.scheduled("0 * * * *", T0)
    view = world.expectations.policies.view("etl")
    assert view.in_force["schedule"]["cron"] == "0 1 * * *"
