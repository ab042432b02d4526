"""Retries, decided: which failures are tried again, and after how long."""

from __future__ import annotations

import pytest

from rota.rules.policy import validate
from rota.rules.retry import MAX_WAIT_SECONDS, Again, Enough, Failure, Retry, attempt_limit_seconds, decide, is_retried, of

EXIT_75 = Failure(75)
KILLED = Failure(137, "SIGKILL")
TERMINATED = Failure(143, "SIGTERM")
TIMED_OUT = Failure(143, "SIGTERM", timed_out=True)
RESET = Failure(error_types=("requests.exceptions.ConnectionError", "OSError", "Exception"), message="reset by peer 10.0.0.1")
WHOLE = {
    "attempts": 5, "wait": "5s", "backoff": 2, "jitter": 0.2, "max_wait": "10m", "on": "timeout", "not_on": ["exit:2"],
    "attempt_timeout": "1m", "timeout": "3h",
}  # fmt: skip


def test_a_whole_document():
    """Every key of a policy's retry is read, a single text as a list of one."""
    assert of(WHOLE) == Retry(5, 5.0, 2.0, 0.2, 600.0, ("timeout",), ("exit:2",), 60.0, 10_800.0)


def test_what_is_left_out():
    """Left out, there are three attempts, a wait is 30 s, always the same and never longer than a day, and every failure is
    retried, without a limit.
    """
    assert of({}) == Retry(3, 30.0, 1.0, 0.0, 86_400.0, None, (), None, None)
    assert of({"attempts": None, "on": None, "timeout": None, "wait": 0}) == Retry(3, 0.0)


@pytest.mark.parametrize("text", ["exit:0", "exit:9-1", "exit:300", "signal:RTMIN+1", "message:", "täglich.Fehler", "timeout"])
def test_what_a_policy_may_say_can_be_used(text):
    """Whatever the validator of policies takes is taken here, so that no policy that was stored fails on the host."""
    document = {"retry": {"on": [text], "not_on": text}}
    checked = validate(document)["retry"]
    assert of(checked).on == (text,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"attempts": 0}, "retry.attempts: 0 is no number from 1 to 1000"),
        ({"attempts": 1001}, "retry.attempts: 1001"),
        ({"attempts": True}, "retry.attempts: True"),
        ({"attempts": 2, "wait": "soon"}, "retry.wait: 'soon' is no duration"),
        ({"attempts": 2, "wait": True}, "retry.wait: True is no duration"),
        ({"attempts": 2, "backoff": 0.5}, "retry.backoff: 0.5 is no number from 1 to 1000"),
        ({"attempts": 2, "backoff": float("nan")}, "retry.backoff: nan"),
        ({"attempts": 2, "jitter": 1.1}, "retry.jitter: 1.1 is no number from 0 to 1"),
        ({"attempts": 2, "timeout": 0}, "retry.timeout: 0 is no length of time"),
        ({"attempts": 2, "on": 75}, "retry.on: 75 is no list of texts"),
        ({"attempts": 2, "on": ["exit:many"]}, "retry.on: 'exit:many': it is no exit status"),
        ({"attempts": 2, "on": ["signal:9"]}, "retry.on: 'signal:9': it is no signal"),
        ({"attempts": 2, "on": ["message:("]}, "retry.on: 'message:\\('"),
        ({"attempts": 2, "on": ["colour:blue"]}, "retry.on: 'colour:blue': it is none of exit:N"),
        ({"attempts": 2, "not_on": ["not a name"]}, "retry.not_on: 'not a name': it is no exception's name"),
        ({"attempts": 2, "not_on": [3]}, "retry.not_on: 3: it is no text"),
        ({"attempts": 2, "tries": 3}, "retry.tries: there is no such key; there are attempts, wait"),
    ],
)
def test_what_cannot_be_used_is_named(given, said):
    """A document that cannot be used is refused with the key, its value and what may stand there."""
    with pytest.raises(ValueError, match=said):
        of(given)


@pytest.mark.parametrize(
    ("condition", "failures"),
    [
        ("exit:75", [EXIT_75]),
        ("exit:1-80", [EXIT_75]),
        ("exit:137", []),
        ("signal:KILL", [KILLED]),
        ("signal:SIGKILL", [KILLED]),
        ("signal:term", [TERMINATED]),
        ("timeout", [TIMED_OUT]),
        ("ConnectionError", [RESET]),
        ("requests.exceptions.ConnectionError", [RESET]),
        ("builtins.OSError", [RESET]),
        ("OSError", [RESET]),
        ("Error", []),
        ("exceptions.ConnectionError", []),
        ("message:reset by peer", [RESET]),
        ("message:^peer", []),
        (r"message:\b10\.0\.0\.\d$", [RESET]),
    ],
)
def test_what_a_condition_matches(condition, failures):
    """An exception is matched by its class or a base class, bare or qualified; a status, a signal and a message by their kind."""
    every = [EXIT_75, KILLED, TERMINATED, TIMED_OUT, RESET]
    assert [each for each in every if is_retried(Retry(2, on=(condition,)), each)] == failures
    assert [each for each in every if not is_retried(Retry(2, on=None, not_on=(condition,)), each) and each != TERMINATED] == [
        each for each in failures if each != TERMINATED
    ]


def test_what_is_retried_unless_somebody_says_so():
    """Without conditions every failure is retried but what TERM or INT ended, unless it was our own TERM after a timeout."""
    every = [EXIT_75, KILLED, TERMINATED, Failure(130, "SIGINT"), TIMED_OUT, RESET]
    assert [each for each in every if is_retried(Retry(2), each)] == [EXIT_75, KILLED, TIMED_OUT, RESET]


def test_not_on_has_the_last_word():
    """What both on and not_on name is not retried."""
    assert not is_retried(Retry(2, on=("exit:1-99",), not_on=("exit:75",)), EXIT_75)


@pytest.mark.parametrize(
    ("retry", "attempt", "chance", "wait"),
    [
        (Retry(5, 30.0), 1, 0.0, 30.0),
        (Retry(5, 30.0), 4, 0.0, 30.0),
        (Retry(5, 30.0, 2.0), 3, 0.0, 120.0),
        (Retry(5, 30.0, 2.0, max_wait_seconds=100.0), 3, 0.0, 100.0),
        (Retry(5, 30.0, 2.0, 0.5), 2, 0.5, 45.0),
        (Retry(5, 30.0, 2.0, 1.0, 40.0), 2, 0.75, 10.0),
        (Retry(1000, 30.0, 1000.0), 999, 0.0, MAX_WAIT_SECONDS),
        (Retry(5, 0.0, 2.0, 1.0), 2, 0.9, 0.0),
    ],
)
def test_how_long_is_waited(retry, attempt, chance, wait):
    """Waits grow by the factor up to the longest, and jitter takes up to its share off."""
    assert decide(retry, attempt, EXIT_75, 0.0, chance) == Again(wait, attempt + 1)


@pytest.mark.parametrize(
    ("retry", "attempt", "failure", "elapsed", "said"),
    [
        (Retry(3), 3, EXIT_75, 0.0, "attempt 3 of 3"),
        (Retry(1), 1, EXIT_75, 0.0, "attempt 1 of 1"),
        (Retry(3, on=("exit:1",)), 1, EXIT_75, 0.0, "exit 75 is not retried"),
        (Retry(3), 1, TERMINATED, 0.0, "SIGTERM is not retried"),
        (Retry(3, on=("exit:1",)), 1, RESET, 0.0, "requests.exceptions.ConnectionError is not retried"),
        (Retry(3, not_on=("timeout",)), 1, TIMED_OUT, 0.0, "timeout is not retried"),
        (Retry(3, 30.0, timeout_seconds=100.0), 1, EXIT_75, 70.0, "no time is left for another attempt"),
    ],
)
def test_when_it_is_enough(retry, attempt, failure, elapsed, said):
    """There is no further attempt after the last one, after a failure that is not retried, and past the timeout of all."""
    assert decide(retry, attempt, failure, elapsed, 0.0) == Enough(said)


@pytest.mark.parametrize(
    ("own", "whole", "elapsed", "limit"),
    [
        (None, None, 5.0, (None, "timeout")),
        (60.0, None, 5.0, (60.0, "attempt_timeout")),
        (60.0, 100.0, 5.0, (60.0, "attempt_timeout")),
        (60.0, 100.0, 90.0, (10.0, "timeout")),
        (None, 100.0, 120.0, (0.0, "timeout")),
    ],
)
def test_how_long_an_attempt_may_take(own, whole, elapsed, limit):
    """An attempt ends at its own timeout or at that of all attempts, whichever comes first."""
    assert attempt_limit_seconds(Retry(2, attempt_timeout_seconds=own, timeout_seconds=whole), elapsed) == limit
