"""Answers that hold for a while: when a call need not ask, and when it has to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from permissions import DENY, GO, Answerer, agent_socket, write_policy

from rota.control.client import Client, Question
from rota.control.document import path_of
from rota.control.standing import STANDS_SECONDS, mark_of, stands

QUESTION = {"workflow": "etl", "task": "load"}
PERMIT = {"load": {"permit": True}}


class Host:
    """A home with a policy, an agent that answers by it, and a client on a clock that is told to move."""

    def __init__(self, home: Path, agent: Answerer) -> None:
        self.home, self.agent, self.now = home, agent, 1000.0
        self.client = Client(str(home), (agent.address,), lambda: self.now)
        self.is_standing = True
        agent.answer = self.answer
        self.policy()

    def policy(self, **more: Any) -> None:
        write_policy(self.home, "etl", PERMIT, **more)

    def answer(self, _question: dict[str, Any]) -> dict[str, Any]:
        """As ``rota.agent.permit`` says it."""
        return {**GO, "stands": stands(mark_of(path_of(str(self.home), "etl")))} if self.is_standing else GO

    def asks(self, **question: Any) -> int:
        """How often the agent is asked by one call."""
        before = len(self.agent.questions)
        self.client.ask(Question(QUESTION, **question), 30)
        return len(self.agent.questions) - before


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with agent_socket() as agent:
        found = Host(tmp_path, agent)
        yield found
        found.client.close()


def test_a_call_asks_once(host: Host) -> None:
    """As long as nothing changed, the next ones are told the same without a question."""
    assert [host.asks() for _ in range(3)] == [1, 0, 0]
    assert host.client.ask(QUESTION, 30)["answer"] == "go"


@pytest.mark.parametrize(
    "change",
    [
        lambda host: host.policy(gates=[]),
        lambda host: Path(path_of(str(host.home), "etl")).unlink(),
        lambda host: (host.home / "policy").rename(host.home / "elsewhere"),
    ],
    ids=["another policy", "none any more", "no folder"],
)
def test_a_policy_that_changes_is_heard_of_by_the_next_call(host: Host, change: Callable[[Host], object]) -> None:
    """No answer outlives the document that it was given by."""
    host.asks()
    change(host)
    host.agent.answer = lambda _: DENY
    assert host.client.ask(QUESTION, 30)["answer"] == "deny"


def test_a_policy_that_comes_is_heard_of_too(host: Host) -> None:
    """That there is none is what an answer rests on as well."""
    Path(path_of(str(host.home), "etl")).unlink()
    assert [host.asks(), host.asks()] == [1, 0]
    host.policy()
    assert host.asks() == 1


def test_an_answer_holds_for_a_second_at_most(host: Host) -> None:
    """An agent that has gone, and keeps no policy current any more, is missed by then, counted from before it was asked."""
    host.asks()
    host.now += STANDS_SECONDS - 0.01
    assert host.asks() == 0
    host.now += 0.01
    assert host.asks() == 1


def test_no_agent_is_believed_for_longer(host: Host) -> None:
    """Whatever it says."""
    mark = mark_of(path_of(str(host.home), "etl"))
    host.agent.answer = lambda _: {**GO, "stands": {"mark": mark, "seconds": 1e9}}
    host.asks()
    host.now += STANDS_SECONDS
    assert host.asks() == 1


def test_another_question_is_asked(host: Host) -> None:
    """Of another task, another attempt, or with other facts."""
    assert [host.asks(), host.asks(task="send"), host.asks(attempt=2), host.asks(facts={"tasks": {}})] == [1, 1, 1, 1]


@pytest.mark.parametrize("said", [None, True, 1, [], {}, {"mark": 7, "seconds": 1}, {"mark": [1, 2, 3]}, {"seconds": 1}, "mark"])
def test_what_is_not_understood_stands_for_nothing(host: Host, said: object) -> None:
    """It is asked each time, as from an agent that knows of none of this, or passed the question on."""
    host.agent.answer = lambda _: {**GO, "stands": said}
    assert [host.asks(), host.asks()] == [1, 1]


def test_an_answer_without_a_word_of_it_stands_for_nothing(host: Host) -> None:
    """That of the collector, and of an agent of an earlier version."""
    host.is_standing = False
    assert [host.asks(), host.asks()] == [1, 1]


def test_awaited_calls_share_it(host: Host) -> None:
    """What was said to a plain call holds for a coroutine, and the other way round."""

    async def asks() -> int:
        before = len(host.agent.questions)
        await host.client.ask_async(Question(QUESTION, task="send"), 30)
        return len(host.agent.questions) - before

    assert [asyncio.run(asks()), asyncio.run(asks()), host.asks(task="send")] == [1, 0, 0]


def test_questions_do_not_fill_the_memory(host: Host) -> None:
    """A script may have a million different ones, and long ones."""
    for number in range(1000):
        host.asks(task=f"load {number}")
    assert len(host.client._standing._kept) <= 256
    facts = {"tasks": {f"task {number}": {"rows": number} for number in range(1000)}}
    assert [host.asks(facts=facts), host.asks(facts=facts)] == [1, 1]
