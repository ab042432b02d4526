"""Permission for a run: who is asked what, how long it waits, and what holds when nobody answers."""

from __future__ import annotations

import pytest

from rota.control.admit import Admission
from rota.rules.policy import validate


class Away(Exception):
    """Nobody answers."""


class World:
    """A clock, and who answers: ``answers`` in turn; None: nobody does."""

    def __init__(self, *answers):
        self.now = 100.0
        self.answers = list(answers)
        self.questions = []
        self.timeouts = []
        self.reasons = []

    def ask(self, question, timeout_seconds):
        self.questions.append(question)
        self.timeouts.append(timeout_seconds)
        assert timeout_seconds > question["wait_seconds"]
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise Away("refused")
        self.now += answer.pop("held", 0.0)
        return dict(answer)

    def sleep(self, seconds):
        assert 0 <= seconds <= 5
        self.now += seconds

    def permission(self, tmp_path, *gates):
        """Of a run whose policy has these gates."""
        policy = validate({"gates": list(gates)})
        question = {"workflow": "etl", "run_id": "r", "attempt": 1}
        held_up = lambda found: self.reasons.append(found.reason)  # noqa: E731
        return Admission(policy, question, self, Away, str(tmp_path), held_up, lambda: self.now, self.sleep).permission()


GO = {"answer": "go", "reason": "fine", "ticket": "t", "leases": [{"id": "l", "token": 7}]}
WAIT = {"answer": "wait", "reason": "1 of 1 in use", "kind": "concurrency", "ticket": "t", "look_again_seconds": None}
ONE = {"kind": "concurrency", "limit": 1}


def test_go_comes_with_its_leases(tmp_path):
    """They are the caller's to keep alive and to give back."""
    found = World(GO).permission(tmp_path, ONE)
    assert (found.answer, found.reason, found.is_blind) == ("go", "fine", False)
    assert found.leases == ({"id": "l", "token": 7},)


def test_who_waits_keeps_its_place(tmp_path):
    """It comes again with the ticket that it was given, and tells why it waits once."""
    world = World(WAIT, {**WAIT, "held": 20.0}, {**WAIT, "held": 20.0}, GO)
    found = world.permission(tmp_path, ONE)
    assert [question["ticket"] for question in world.questions] == [None, "t", "t", "t"]
    assert world.reasons == ["1 of 1 in use"]
    assert (found.answer, found.waited_seconds) == ("go", 40.0)


def test_who_is_told_to_wait_at_once_does_not_ask_all_the_time(tmp_path):
    """An answer that was not held back is followed by a pause."""
    world = World(WAIT, WAIT, {**WAIT, "look_again_seconds": 60.0}, GO)
    assert world.permission(tmp_path, ONE).waited_seconds == 6.0


def test_only_who_is_told_to_wait_has_a_question_held_open(tmp_path):
    """The first answer comes at once, or is not waited for: so long a silent collector keeps a job, and no longer."""
    world = World(WAIT, GO)
    world.permission(tmp_path, ONE)
    assert [question["wait_seconds"] for question in world.questions] == [0.0, 20.0]
    assert [0.0 < seconds < 5.0 for seconds in world.timeouts] == [True, False]


def test_what_only_the_host_can_tell_goes_with_the_question(tmp_path):
    """Answer, reason and facts; the others are not guessed here."""
    world = World(GO)
    world.permission(tmp_path, ONE, {"kind": "probe", "file": str(tmp_path)})
    (told,) = world.questions[0]["local"]
    assert (told["gate"], told["answer"], told["facts"]["is_well"]) == (1, "go", True)


def test_a_question_that_is_lost_already_is_not_held_back(tmp_path):
    """Where a gate here says skip, the collector is only told."""
    world = World(WAIT, {**WAIT, "held": 15.0}, {"answer": "skip", "reason": "no such file"})
    probe = {"kind": "probe", "file": str(tmp_path / "none"), "wait_at_most": 0.5, "otherwise": "skip"}
    assert world.permission(tmp_path, probe).answer == "skip"
    assert [(each["wait_seconds"], each["local"][0]["answer"]) for each in world.questions] == [
        (0.0, "wait"), (0.5, "wait"), (0.0, "skip"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("says", "answer", "waited"), [(None, "go", 0.0), ("go", "go", 0.0), ("skip", "skip", 0.0), ("deny", "deny", 0.0)]
)
def test_when_nobody_answers_the_gate_decides(tmp_path, says, answer, waited):
    """The decision is marked as blind, with what each gate said."""
    found = World(None).permission(tmp_path, {**ONE, "on_unreachable": says})
    assert (found.answer, found.waited_seconds, found.is_blind) == (answer, waited, True)
    assert "refused" in found.answers[0].reason


def test_a_gate_may_wait_for_an_answer(tmp_path):
    """For as long as it says, and no longer; then it is denied."""
    found = World(None).permission(tmp_path, {**ONE, "on_unreachable": "wait(1m)"})
    assert (found.answer, round(found.waited_seconds)) == ("deny", 60)


def test_it_goes_on_as_soon_as_somebody_answers(tmp_path):
    """Who comes back is asked again."""
    found = World(None, None, GO).permission(tmp_path, {**ONE, "on_unreachable": "wait(30m)"})
    assert (found.answer, found.waited_seconds) == ("go", 10.0)


def test_a_window_needs_nobody(tmp_path):
    """It is looked at here when nobody answers."""
    closed = {"kind": "window", "only": "2020-01-01", "on_unreachable": "go", "otherwise": "skip"}
    assert World(None).permission(tmp_path, closed).answer == "skip"


def test_a_fact_that_cannot_be_found_out_is_as_if_nobody_answered(tmp_path):
    """A command that the host does not have."""
    world = World({"answer": "deny", "reason": "no"})
    world.permission(tmp_path, {"kind": "probe", "command": "none", "on_unreachable": "deny"})
    assert world.questions[0]["local"][0]["answer"] == "deny"
    assert "commands.json" in world.questions[0]["local"][0]["reason"]
