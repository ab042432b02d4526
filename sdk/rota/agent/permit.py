"""The agent answers questions for permission: by the policies that this host has, and through the collector where that is needed.

A caller keeps its connection and asks on it, one question after the other. What the policy's own words answer is answered at
once; what needs the fleet's facts is passed on by a thread, so that one slow answer holds up nobody else.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Callable

from rota.control.client import Client, Unreachable
from rota.control.document import path_of, read
from rota.control.standing import LONGEST, mark_of, stands
from rota.rules import inflight
from rota.rules.expression import holds
from rota.rules.tasks import Terms, entry_of

LONGEST_QUESTION = 256 * 1024  # bytes
_MOST_PASSED_ON = 64  # questions that wait for the collector's answers at once
_MOST_REMEMBERED = 1024  # policies, and questions
# For the collector's answer; a little less than whoever asked us waits: a task, a run, who is held.
_TASK_SECONDS, _RUN_SECONDS, _LATE_SECONDS = 1.5, 3.0, 3.0

Document = dict[str, Any]
Mark = tuple[int, int, int]


class Line:
    """One connection on which questions come.

    Args:
        connection: non-blocking.
        began: what has been read of it already.
    """

    def __init__(self, connection: socket.socket, began: bytes) -> None:
        self.connection, self._data = connection, began

    def questions(self) -> list[bytes]:
        """Whole lines that have come, once there is something to read.

        Raises:
            EOFError: the caller has hung up, or talks on without an end.
        """
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return self._whole()
        except OSError as error:
            raise EOFError from error
        if not data or len(self._data) > LONGEST_QUESTION:
            raise EOFError
        self._data += data
        return self._whole()

    def began(self) -> list[bytes]:
        """The lines among what had been read already."""
        return self._whole()

    def say(self, answer: bytes) -> None:
        """Answer. Safe from any thread; a caller that does not read gets what fits into the socket's buffer."""
        try:
            self.connection.send(answer)
        except OSError:  # it has gone
            pass

    def _whole(self) -> list[bytes]:
        whole, end, self._data = self._data.rpartition(b"\n")
        return whole.split(b"\n") if end else []


class Policies:
    """The policy documents of this host's homes, read again when their files change."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Mark, Document | None]] = {}

    def find(self, path: str) -> tuple[Document | None, Mark | None]:
        """(document, mark of its file); nothing where there is none."""
        mark = mark_of(path)
        if mark is None:
            return None, None
        kept = self._kept.get(path)
        if kept is None or kept[0] != mark:
            if len(self._kept) >= _MOST_REMEMBERED:
                self._kept.clear()
            kept = self._kept[path] = (mark, read(path))
        return kept[1], mark


class Permit:
    """Answers questions.

    Args:
        pass_on: (question, timeout in seconds) to the collector; returns its answer, or raises Unreachable.
        report: takes one line of text for people.
    """

    def __init__(
        self, report: Callable[[str], None], pass_on: Callable[[dict[str, Any], float], dict[str, Any]] | None = None
    ) -> None:
        self._report, self._pass_on = report, pass_on or Client("", sockets=()).ask
        self._policies = Policies()
        self._answers: dict[bytes, tuple[str, Mark | None, bytes]] = {}  # by question: one that is asked again is not read again
        self._passed_on = 0

    def hear(self, line: Line, said: bytes) -> None:
        """Answer what was said on that line, now or later. Never raises."""
        try:
            answer = self._again(said) or self._now(line, said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._report("no question: %.80r (%s)" % (said, error))
            answer = _failed("no question")
        if answer is not None:
            line.say(answer)

    def _again(self, said: bytes) -> bytes | None:
        found = self._answers.get(said)
        return found[2] if found is not None and mark_of(found[0]) == found[1] else None

    def _now(self, line: Line, said: bytes) -> bytes | None:
        question = json.loads(said)
        home, workflow = question.pop("home"), question["workflow"]
        path = path_of(home, workflow)
        document, mark = self._policies.find(path)
        answer = decide(document, question)
        if answer is None:
            del question["permit"]
            return self._later(line, question)
        rendered = json.dumps({**answer, "stands": stands(mark)}).encode("ascii") + b"\n"
        if len(said) <= LONGEST:
            if len(self._answers) >= _MOST_REMEMBERED:
                self._answers.clear()
            self._answers[said] = (path, mark, rendered)
        return rendered

    def _later(self, line: Line, question: dict[str, Any]) -> bytes | None:
        if self._passed_on >= _MOST_PASSED_ON:
            return _failed("%d questions wait for the collector already" % _MOST_PASSED_ON)
        self._passed_on += 1
        threading.Thread(target=self._ask, args=(line, question), name="rota-agent-ask", daemon=True).start()
        return None

    def _ask(self, line: Line, question: dict[str, Any]) -> None:
        wait_seconds = float(question.get("wait_seconds") or 0)
        first_seconds = _RUN_SECONDS if question.get("task") is None else _TASK_SECONDS
        try:
            answer = self._pass_on(question, wait_seconds + _LATE_SECONDS if wait_seconds else first_seconds)
            line.say(json.dumps(answer).encode("ascii") + b"\n")
        except Unreachable as error:
            line.say(_failed(str(error)))
        finally:
            self._passed_on -= 1


def decide(document: Document | None, question: dict[str, Any]) -> dict[str, Any] | None:
    """What the policy alone answers; None when that needs the collector."""
    if document is None:
        return _go("no policy asks anything of it")
    task = question.get("task")
    if task is None:
        return None if document.get("gates") else _go("there is no gate")
    rules = inflight.denying(inflight.of(document), task)
    rule, is_sure = _first_that_holds(rules, question)
    if rule is not None:
        return {"answer": "deny", "reason": rule.reason, "gate": rule.number, "kind": inflight.KIND, "by": "agent"}
    if not is_sure:
        return None  # the collector knows what other processes of the run have told
    entry = entry_of(document.get("tasks") or {}, task)
    if entry is None or not Terms.of(entry).permit:
        return _go("no rule denies it" if rules else "no pattern asks for it")
    return _go("permitted by policy version %s" % document.get("version"))


def _first_that_holds(rules: list[inflight.Rule], question: dict[str, Any]) -> tuple[inflight.Rule | None, bool]:
    if not rules:
        return None, True
    told = (question.get("facts") or {}).get("tasks") or {}
    facts = inflight.Facts.of(question["workflow"], question.get("host"), question.get("attempt") or 1, told)
    try:
        return inflight.first_that_holds(rules, facts, holds)
    except ImportError:  # an agent without the library: the collector has it
        return None, False


def _go(reason: str) -> dict[str, Any]:
    return {"answer": "go", "reason": reason, "by": "agent"}


def _failed(reason: str) -> bytes:
    """An answer that is none: what the policy says for that case holds then."""
    return json.dumps({"answer": None, "reason": reason}).encode("ascii") + b"\n"
