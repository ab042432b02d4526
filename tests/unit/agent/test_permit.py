"""What the agent answers by itself, and how it listens."""

from __future__ import annotations

import json
import socket

import pytest
from permissions import write_policy

from rota.agent import permit
from rota.agent.permit import Line, Permit, decide
from rota.control.client import Unreachable
from rota.control.standing import mark_of

QUESTION = {"workflow": "etl", "task": "load_orders", "wait_seconds": 0}
NO_ROWS = {"when": "task('extract').rows == 0", "do": "deny('load_*')"}


def extracted(**told):
    """The facts that a question brings along once ``extract`` has told these."""
    return {"facts": {"tasks": {"extract": told}}}


def document(**more):
    """A policy that lets ``load_*`` ask."""
    return {"version": 3, "tasks": {"load_*": {"permit": True}, "*": {}}, **more}


@pytest.mark.parametrize(
    ("found", "question", "answer"),
    [
        (None, QUESTION, "go"),
        (document(), QUESTION, "go"),
        (document(), {**QUESTION, "task": "extract"}, "go"),
        (document(), {**QUESTION, "task": None}, "go"),
        (document(gates=[{"kind": "concurrency", "limit": 1}]), QUESTION, "go"),
        (document(gates=[{"kind": "concurrency", "limit": 1}]), {**QUESTION, "task": None}, None),
        (document(rules=[NO_ROWS]), {**QUESTION, "task": None}, "go"),
        (document(rules=[NO_ROWS]), {**QUESTION, "task": "extract"}, "go"),
        (document(rules=[NO_ROWS]), QUESTION, None),
        (document(rules=[NO_ROWS]), {**QUESTION, **extracted(rows=0)}, "deny"),
        (document(rules=[NO_ROWS]), {**QUESTION, **extracted(rows=5)}, "go"),
        (document(rules=[{**NO_ROWS, "when": "task('x').rows == 0"}, NO_ROWS]), {**QUESTION, **extracted(rows=0)}, "deny"),
        (document(rules=[{**NO_ROWS, "do": "cancel"}]), QUESTION, "go"),
    ],
)
def test_only_what_needs_more_than_the_policy_travels(found, question, answer):
    """Gates are the run's, and answered by the collector, as is a rule whose facts this host does not have."""
    decided = decide(found, question)
    assert (decided["answer"] if decided else None) == answer


def test_the_version_that_permitted_is_told():
    """The reason names it."""
    decided = decide(document(), QUESTION)
    assert decided is not None
    assert decided["reason"] == "permitted by policy version 3"


@pytest.fixture
def pair():
    """The agent's end of a connection, as a line, and the caller's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(30)
    with ours, theirs:
        yield Line(ours, b""), theirs


def asking(**question) -> bytes:
    """A question as it comes on the line."""
    return b'{"permit":1,' + json.dumps({**QUESTION, **question}).encode()[1:]


def heard(answerer, line, theirs, **question):
    """The answer to it."""
    answerer.hear(line, asking(**question))
    said = b""
    while not said.endswith(b"\n"):
        said += theirs.recv(65536)
    return json.loads(said)


def test_the_policy_is_read_again_when_its_file_changes(pair, tmp_path):
    """A question that was answered before is answered anew."""
    write_policy(tmp_path, "etl", {"load_*": {"permit": True}})
    answerer = Permit(print, lambda question, _: {"answer": "deny", "reason": question["task"]})
    assert heard(answerer, *pair, home=str(tmp_path))["answer"] == "go"
    assert heard(answerer, *pair, home=str(tmp_path))["answer"] == "go"
    write_policy(tmp_path, "etl", {"load_*": {"permit": True}}, rules=[NO_ROWS])
    assert heard(answerer, *pair, home=str(tmp_path)) == {"answer": "deny", "reason": "load_orders"}


def test_what_rests_on_the_policy_alone_stands(pair, tmp_path):
    """The mark of its file is told, so that a caller need not ask for every call; what the collector said stands for nothing."""
    path = write_policy(tmp_path, "etl", {"load_*": {"permit": True}})
    answerer = Permit(print, lambda *_: {"answer": "go", "reason": "of course"})
    for _ in range(2):  # the second time from memory
        assert heard(answerer, *pair, home=str(tmp_path))["stands"] == {"mark": list(mark_of(str(path))), "seconds": 1.0}
    write_policy(tmp_path, "etl", {"load_*": {"permit": True}}, rules=[NO_ROWS])
    assert "stands" not in heard(answerer, *pair, home=str(tmp_path))


def test_that_there_is_no_policy_stands_too(pair, tmp_path):
    """Until there is one."""
    assert heard(Permit(print), *pair, home=str(tmp_path))["stands"]["mark"] is None


def test_questions_full_of_facts_do_not_fill_the_memory(pair, tmp_path):
    """Each is another one: they are answered, and forgotten."""
    write_policy(tmp_path, "etl", {"load_*": {"permit": True}})
    answerer = Permit(print)
    for rows in range(3):
        facts = {"tasks": {f"extract {number}": {"rows": rows} for number in range(500)}}
        assert heard(answerer, *pair, home=str(tmp_path), facts=facts)["answer"] == "go"
    assert answerer._answers == {}


def test_what_is_passed_on_is_the_question_alone(pair, tmp_path):
    """Neither the word of the socket nor the host's paths travel; who waits is waited for a little longer than that."""
    write_policy(tmp_path, "etl", {"load_*": {"permit": True}}, rules=[NO_ROWS])
    passed = []
    answerer = Permit(print, lambda *given: passed.append(given) or {"answer": "go", "decision_id": "d"})
    assert heard(answerer, *pair, home=str(tmp_path)) == {"answer": "go", "decision_id": "d"}
    assert heard(answerer, *pair, home=str(tmp_path), wait_seconds=20)["answer"] == "go"
    assert passed == [(QUESTION, 1.5), ({**QUESTION, "wait_seconds": 20}, 23.0)]


def test_a_collector_that_is_away_is_said_to_be(pair, tmp_path):
    """The answer is none: whoever asked does as its policy says for that case."""
    write_policy(tmp_path, "etl", {}, gates=[{"kind": "concurrency", "limit": 1}])

    def away(*_):
        raise Unreachable("refused")

    assert heard(Permit(print, away), *pair, home=str(tmp_path), task=None) == {"answer": None, "reason": "refused"}


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"permit":1}', b'{"permit":1,"home":7,"workflow":"etl"}', b"\xff"])
def test_what_is_no_question_is_answered_so_and_reported(pair, said):
    """The connection stays: one mistake is no reason to leave the others unanswered."""
    told = []
    Permit(told.append).hear(pair[0], said)
    assert json.loads(pair[1].recv(65536))["answer"] is None
    assert len(told) == 1


def test_lines_may_come_in_pieces_or_together(pair):
    """Each whole one is heard once."""
    line, theirs = pair
    assert line.questions() == []
    theirs.sendall(b"one\ntwo\nthr")
    assert line.questions() == [b"one", b"two"]
    theirs.sendall(b"ee\n")
    assert line.questions() == [b"three"]


def test_a_caller_that_hangs_up_or_talks_without_end_is_dropped(pair, monkeypatch):
    """A question has a longest length."""
    line, theirs = pair
    monkeypatch.setattr(permit, "LONGEST_QUESTION", 8)
    theirs.sendall(b"x" * 16)
    assert line.questions() == []
    theirs.sendall(b"x")
    with pytest.raises(EOFError):
        line.questions()
    theirs.close()
    with pytest.raises(EOFError):
        Line(line.connection, b"").questions()
