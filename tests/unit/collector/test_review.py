"""One decision about an instance: which slots are filled, what is wrong, when to look again."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from rota_collector.domain.expect import Downtime, Expectation, Memory, Quiet, RunFact
from rota_collector.domain.review import ALLOWANCE_NS, Review, review
from rota_collector.domain.slots import Limits, Slot

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
T0 = 1_700_000_000 * S // DAY * DAY  # a midnight


class Grid(NamedTuple):
    """Occurrences every ``step_ns``, on the grid of the epoch."""

    step_ns: int
    period_ns: int | None = None

    def next_after(self, at_ns: int) -> int | None:
        return (at_ns // self.step_ns + 1) * self.step_ns


HOURLY = Expectation(Grid(HOUR), Limits(10 * MINUTE, None, 1))
LOOP = Expectation(Grid(HOUR, period_ns=HOUR), Limits(10 * MINUTE, None, 1))
NEW = Memory(watched_ns=T0, anchor_ns=T0 - 1)


class World:
    """An instance that is reviewed again and again; what a review found is there for the next."""

    def __init__(self, expectation: Expectation = HOURLY, memory: Memory = NEW) -> None:
        self.expectation, self.memory = expectation, memory
        self.slots: dict[int, Slot] = {}
        self.runs: dict[str, RunFact] = {}
        self.last: Review

    def run(self, name: str, state: str, started_ns: int, ended_ns: int | None = None, **more: object) -> None:
        self.runs[name] = RunFact(name, state, started_ns, ended_ns, **more)  # type: ignore[arg-type]

    def at(self, now_ns: int, **around: object) -> Review:
        runs = sorted(self.runs.values(), key=lambda run: run.started_ns)
        self.last = review(self.expectation, self.memory, sorted(self.slots.values()), runs, now_ns, **around)  # type: ignore[arg-type]
        for slot in self.last.dropped:
            del self.slots[slot.due_ns]
        self.slots.update((slot.due_ns, slot) for slot in self.last.slots)
        return self.last

    @property
    def verdicts(self) -> list[str | None]:
        return [slot.verdict for _, slot in sorted(self.slots.items())]

    @property
    def broken(self) -> list[str]:
        return [problem.kind for problem in self.last.problems]


def test_a_slot_waits_for_its_deadline():
    """Before due + grace nothing is missed, and the next look is at the deadline."""
    world = World()
    found = world.at(T0 + 9 * MINUTE)
    assert world.verdicts == [None, None]
    assert found.next_ns == T0 + 10 * MINUTE + ALLOWANCE_NS
    assert world.broken == []


def test_a_slot_that_no_run_fills_is_missed_at_its_deadline():
    """The verdict falls once, and says since when something is wrong."""
    world = World()
    world.at(T0)
    world.at(T0 + 10 * MINUTE + ALLOWANCE_NS)
    assert world.verdicts == ["missed", None]
    assert [(p.kind, p.since_ns, p.due_ns) for p in world.last.problems] == [("missed", T0, T0)]
    world.at(T0 + 20 * MINUTE)
    assert world.last.slots == []


@pytest.mark.parametrize(
    ("started", "verdict"),
    [
        (0, "on_time"),
        (9 * MINUTE, "on_time"),
        (-30 * S, "on_time"),
        (-5 * MINUTE, "early"),
        (11 * MINUTE, "late"),
        (49 * MINUTE, "late"),
    ],
    ids=str,
)
def test_a_start_is_early_on_time_or_late(started, verdict):
    """A minute of clock skew is on time; the grace is the limit of lateness; the next slot's early window ends the late one."""
    world = World(memory=Memory(T0 - DAY, T0 - 1))
    world.run("a", "succeeded", T0 + started, T0 + started + S)
    world.at(T0 + 49 * MINUTE)
    assert world.verdicts[0] == verdict


def test_a_missed_slot_whose_run_then_starts_is_late_and_heals_when_it_succeeds():
    """A start is not an arrival: the incident stays until the run has succeeded."""
    world = World()
    world.at(T0 + 11 * MINUTE)
    world.run("a", "running", T0 + 20 * MINUTE)
    world.at(T0 + 20 * MINUTE)
    assert (world.verdicts[0], world.broken, world.last.healed.get("missed")) == ("late", [], None)
    world.run("a", "succeeded", T0 + 20 * MINUTE, T0 + 21 * MINUTE)
    world.at(T0 + 21 * MINUTE)
    assert world.last.healed["missed"] == "a run succeeded"


def test_news_that_came_late_corrects_a_verdict_visibly():
    """A run that was on time and spooled turns missed into on_time, as a second revision with its reason."""
    world = World()
    world.at(T0 + 11 * MINUTE)
    world.run("a", "succeeded", T0 + S, T0 + 2 * S)
    world.at(T0 + 30 * MINUTE)
    slot = world.slots[T0]
    assert (slot.verdict, slot.revision, slot.reason) == ("on_time", 2, "the news came late")
    assert world.last.healed["missed"] == "it did run, the news came late"


def test_a_rerun_does_not_fill_the_next_slot():
    """A run in the middle of the stretch belongs to the slot before it, which keeps its first run."""
    world = World()
    world.run("a", "failed", T0 + S, T0 + 2 * S)
    world.run("b", "succeeded", T0 + 20 * MINUTE, T0 + 21 * MINUTE)
    world.at(T0 + HOUR + 11 * MINUTE)
    assert world.verdicts == ["on_time", "missed", None]
    assert world.slots[T0].run_id == "a"


def test_an_early_run_does_not_hide_the_regular_one():
    """When both come, the one on time fills the slot."""
    world = World()
    world.run("early", "succeeded", T0 + 55 * MINUTE, T0 + 56 * MINUTE)
    world.at(T0 + 56 * MINUTE)
    assert world.slots[T0 + HOUR].verdict == "early"
    world.run("regular", "succeeded", T0 + HOUR, T0 + HOUR + S)
    world.at(T0 + HOUR + S)
    assert (world.slots[T0 + HOUR].verdict, world.slots[T0 + HOUR].run_id) == ("on_time", "regular")


def test_a_run_that_names_its_slot_fills_it():
    """The nominal time that a run carries outranks the time at which it started."""
    world = World()
    world.run("a", "succeeded", T0 + 90 * MINUTE, T0 + 91 * MINUTE, slot_ns=T0)
    world.at(T0 + 2 * HOUR - S)
    assert world.verdicts == ["late", "missed", None]


def test_an_interval_counts_from_the_last_start():
    """A loop that drifts is never missed; the next slot is one period after the last start."""
    world = World(LOOP, Memory(T0, T0 - HOUR))
    start = T0
    for i in range(30):
        world.run(str(i), "succeeded", start, start + S)
        world.at(start + 2 * S)
        start += HOUR + 9 * MINUTE
    assert set(world.verdicts[:-1]) == {"on_time"}
    world.at(start + 2 * MINUTE)
    assert world.broken == ["missed"]


def test_news_that_came_late_moves_the_slots_of_an_interval():
    """The open slot that followed from a missed one is replaced by the one that follows from the start."""
    world = World(LOOP, Memory(T0, T0 - HOUR))
    world.at(T0 + 30 * MINUTE)
    assert world.verdicts == ["missed", None]
    world.run("a", "succeeded", T0 + 5 * MINUTE, T0 + 6 * MINUTE)
    world.at(T0 + 31 * MINUTE)
    assert sorted(world.slots) == [T0, T0 + HOUR + 5 * MINUTE]
    assert [slot.due_ns for slot in world.last.dropped] == [T0 + HOUR]


def test_a_slot_is_judged_by_the_policy_under_which_it_was_opened():
    """A new version replaces the slots that lie ahead; one that was due already keeps its limits."""
    world = World()
    world.at(T0 + MINUTE)
    world.expectation = Expectation(Grid(2 * HOUR), Limits(30 * MINUTE, None, 2))
    world.memory = Memory(T0, T0 + 5 * MINUTE)
    world.at(T0 + 5 * MINUTE)
    assert [(slot.due_ns, slot.version, slot.deadline_ns) for slot in sorted(world.slots.values())] == [
        (T0, 1, T0 + 10 * MINUTE),
        (T0 + 2 * HOUR, 2, T0 + 2 * HOUR + 30 * MINUTE),
    ]


def test_what_was_due_before_it_was_watched_is_unknown():
    """Nobody is told that something was missed before anybody asked."""
    world = World(memory=Memory(watched_ns=T0 + 3 * HOUR, anchor_ns=T0 - 1))
    world.at(T0 + 3 * HOUR + S)
    assert world.verdicts == ["unknown", "unknown", "unknown", None, None]
    assert world.broken == []


def test_our_own_downtime_makes_slots_unknown_until_it_has_settled():
    """Silence while nobody listened is no evidence: judged only when late news had its time, and marked as such."""
    down = Downtime("d", T0 - HOUR, T0 + 30 * MINUTE, settled_ns=T0 + 32 * MINUTE)
    world = World()
    found = world.at(T0 + 30 * MINUTE, downtimes=[down])
    assert (world.verdicts[0], world.broken, found.next_ns) == ("unknown", [], T0 + 32 * MINUTE)
    world.at(T0 + 32 * MINUTE, downtimes=[down])
    assert (world.verdicts[0], world.last.problems[0].downtime_id) == ("missed", "d")


def test_a_run_is_not_too_long_or_silent_while_its_news_may_be_stuck():
    """What ended while we were away is heard of late: nobody is told of its length or silence, and it is not given up, before."""
    down = Downtime("d", T0 + MINUTE, T0 + 3 * HOUR, settled_ns=T0 + 3 * HOUR + 2 * MINUTE)
    world = World(Expectation(None, Limits(None, None, 1), max_duration_ns=10 * MINUTE, silence_ns=20 * MINUTE), NEW)
    world.run("r", "running", T0)
    found = world.at(T0 + 3 * HOUR, downtimes=[down])
    assert (world.broken, found.given_up, found.next_ns) == ([], [], down.settled_ns)
    world.at(down.settled_ns, downtimes=[down])
    assert set(world.broken) == {"too_long", "silent"}
    assert [run.run_id for run in world.last.given_up] == ["r"]


def test_what_was_too_long_before_we_went_away_stays_so():
    """A downtime excuses what fell into it, and nothing earlier."""
    down = Downtime("d", T0 + HOUR, T0 + 2 * HOUR, settled_ns=T0 + 3 * HOUR)
    world = World(Expectation(None, Limits(None, None, 1), max_duration_ns=10 * MINUTE), NEW)
    world.run("r", "running", T0)
    world.at(T0 + 2 * HOUR, downtimes=[down])
    assert world.broken == ["too_long"]


def test_news_from_a_downtime_settles_it_without_a_miss():
    """What was spooled while we were down arrives, and the slot is on time."""
    down = Downtime("d", T0 - HOUR, T0 + 30 * MINUTE, settled_ns=T0 + 32 * MINUTE)
    world = World()
    world.at(T0 + 30 * MINUTE, downtimes=[down])
    world.run("a", "succeeded", T0 + S, T0 + 2 * S)
    world.at(T0 + 31 * MINUTE, downtimes=[down])
    world.at(T0 + 33 * MINUTE, downtimes=[down])
    assert (world.verdicts[0], world.broken) == ("on_time", [])


def test_a_pause_skips_slots_and_hides_failures():
    """In a quiet time nothing is missed and nothing fails."""
    world = World()
    world.run("a", "failed", T0 + 20 * MINUTE, T0 + 21 * MINUTE)
    world.at(T0 + HOUR + 11 * MINUTE, quiet=[Quiet(T0 - HOUR, None, "migration")])
    assert world.verdicts[1] == "skipped"
    assert world.slots[T0 + HOUR].reason == "migration"
    assert world.broken == []


def test_a_schedule_that_is_far_behind_is_caught_up_in_steps():
    """A review adds a bounded number of slots and asks to look again at once."""
    world = World(Expectation(Grid(MINUTE), Limits(None, None, 1)), Memory(T0, T0 - 1))
    now = T0 + 3 * DAY
    assert world.at(now).next_ns == now
    for _ in range(6):
        world.at(now)
    assert len(world.slots) == 3 * 24 * 60 + 2
    assert world.last.next_ns is not None
    assert world.last.next_ns > now


def test_each_overlapping_run_has_its_own_deadline():
    """A hung run is seen although its sibling that started later has succeeded."""
    world = World(HOURLY._replace(max_duration_ns=30 * MINUTE))
    world.run("a", "running", T0)
    world.run("b", "succeeded", T0 + 10 * MINUTE, T0 + 12 * MINUTE)
    found = world.at(T0 + 12 * MINUTE)
    assert (world.broken, found.next_ns) == ([], T0 + 30 * MINUTE)
    found = world.at(T0 + 30 * MINUTE)
    assert world.broken == ["too_long"]
    assert [run.run_id for run in found.given_up] == ["a"]


def test_a_run_without_a_limit_is_too_long_when_its_successor_is_late_too():
    """Without max_duration a hung run does not stay unnoticed for ever."""
    world = World()
    world.run("a", "running", T0)
    world.run("b", "succeeded", T0 + HOUR, T0 + HOUR + S)
    world.at(T0 + HOUR + 9 * MINUTE)
    assert world.broken == []
    found = world.at(T0 + HOUR + 10 * MINUTE)
    assert (world.broken, found.given_up) == (["too_long"], [])


def test_failures_open_after_n_and_close_after_m():
    """N failures in a row are a problem, M successes in a row heal it, in between nothing changes."""
    world = World(Expectation(None, Limits(None, None, 1), failures=2, successes=2))
    seen = []
    for i, state in enumerate(["failed", "crashed", "succeeded", "failed", "succeeded", "succeeded"]):
        world.run(str(i), state, T0 + i * HOUR, T0 + i * HOUR + S)
        world.at(T0 + i * HOUR + 2 * S)
        seen.append((bool(world.broken), "failed" in world.last.healed))
    assert seen == [(False, False), (True, False), (False, False), (False, False), (False, False), (False, True)]


def test_what_a_person_closed_stays_closed():
    """The same failure does not open again; the next one does."""
    world = World(Expectation(None, Limits(None, None, 1)))
    world.run("a", "failed", T0, T0 + S)
    world.memory = world.memory._replace(forgiven_ns=T0 + 2 * S)
    world.at(T0 + 3 * S)
    assert world.broken == []
    world.run("b", "failed", T0 + HOUR, T0 + HOUR + S)
    world.at(T0 + HOUR + 2 * S)
    assert world.broken == ["failed"]


def test_a_run_that_is_too_short_is_told():
    """Succeeded in no time is suspicious where a least duration is expected."""
    world = World(Expectation(None, Limits(None, None, 1), min_duration_ns=MINUTE))
    world.run("a", "succeeded", T0, T0 + S)
    world.at(T0 + S)
    assert world.broken == ["too_short"]
    world.run("b", "succeeded", T0 + HOUR, T0 + HOUR + 2 * MINUTE)
    world.at(T0 + HOUR + 2 * MINUTE)
    assert (world.broken, world.last.healed["too_short"]) == ([], "a run took its time")


def test_a_run_whose_start_nobody_told_is_not_too_short():
    """What we do not know is no evidence: a lone success ping has no length."""
    world = World(Expectation(None, Limits(None, None, 1), min_duration_ns=MINUTE))
    world.run("a", "succeeded", T0, T0, has_start=False)
    world.at(T0 + S)
    assert world.broken == []


def test_an_open_run_of_which_nothing_is_heard_is_silent():
    """The expensive question for a sign of life is asked only when the cheap one says too long ago."""
    asked: list[str] = []

    def sign(run_id: str) -> int:
        asked.append(run_id)
        return T0 + 8 * MINUTE

    world = World(Expectation(None, Limits(None, None, 1), silence_ns=10 * MINUTE))
    world.run("a", "running", T0, heard_ns=T0)
    found = world.at(T0 + 5 * MINUTE, sign_of_life=sign)
    assert (asked, found.next_ns) == ([], T0 + 10 * MINUTE)
    found = world.at(T0 + 10 * MINUTE, sign_of_life=sign)
    assert (world.broken, found.next_ns) == ([], T0 + 18 * MINUTE)
    world.at(T0 + 18 * MINUTE, sign_of_life=sign)
    assert world.broken == ["silent"]


def test_an_upstream_s_success_makes_a_slot():
    """A schedule after another workflow is due when that succeeded, and missed when nothing starts within its time."""
    world = World(Expectation(None, Limits(30 * MINUTE, None, 1)))
    world.at(T0, upstream_ends=[T0])
    assert world.verdicts == [None]
    world.at(T0 + 31 * MINUTE, upstream_ends=[T0])
    assert (world.verdicts, world.broken) == (["missed"], ["missed"])
