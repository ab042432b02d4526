"""Retries out of a budget that others share: the collector counts for all, and a host for itself while nobody answers.

A process asks for more at once the more it needed: a function that is called a thousand times asks a few times, and a script that
fails once asks for one. What it was granted and did not use is lost with it.
"""

from __future__ import annotations

import json
import os
import threading
import time

from rota._guard import guarded, note
from rota._propagate import quoted
from rota.control.client import Client, in_a_thread, running_loop
from rota.rules import budget as rules
from rota.rules.budget import Budget, Counted
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._run import Run

PATH = "/api/v1/retries"
ASK_SECONDS = 2.0
AWAY_SECONDS = 30.0  # how long a collector that did not answer is left alone
EXHAUSTED_SECONDS = 1.0  # ... and how long a refusal holds without another question
_TURN_SECONDS = 5.0  # for another thread's question
_MOST_BYTES = 1 << 20  # of what this host has counted: the oldest goes first
_COUNTING = threading.Lock()  # the lock of a file is the whole process's


class Share:
    """What one run may spend of one budget.

    Args:
        run: whose retries they are.
        budget: as its policy has it.
        task: the pattern's task that is tried again; empty: the run itself.
    """

    def __init__(self, run: Run, budget: Budget, task: str = "") -> None:
        self._run, self._budget, self._task = run, budget, task
        self._client: Client | None = None
        self._pid, self._turn = os.getpid(), threading.Lock()
        self._tokens: list[None] = []  # a list, as taking the last of it is one step whoever else is at it
        self._portion, self._firsts = 1, 0
        self._away_until = self._refused_until = 0.0  # monotonic
        self._told: set[str] = set()
        self.reason = ""  # why there was none

    def first(self) -> None:
        """A first attempt failed: it counts beside the retries."""
        self._firsts += 1

    def take(self, attempt: int) -> bool:
        """Whether one retry may be made after the failure of attempt ``attempt``; may ask, and wait for the answer. A fault of
        ours lets it be made.
        """
        at_once = self._at_once()
        if at_once is not None:
            return at_once
        if not self._turn.acquire(timeout=_TURN_SECONDS):  # another thread asks, and gets no answer
            return False
        try:
            at_once = self._at_once()
            return self._ask(attempt) if at_once is None else at_once
        except Exception as error:
            note("retry", error)
            return True
        finally:
            self._turn.release()

    async def take_async(self, attempt: int) -> bool:
        """The same, while the event loop goes on."""
        at_once = self._at_once()
        if at_once is not None:
            return at_once
        _, loop = running_loop()
        return bool(await in_a_thread(loop, lambda: self.take(attempt)))  # type: ignore[arg-type, return-value]

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()

    def _at_once(self) -> bool | None:
        """What is known without a question; None: nothing is."""
        if self._pid != os.getpid():  # a forked child: its parent's tokens and locks are its parent's
            self._pid, self._turn, self._tokens, self._client = os.getpid(), threading.Lock(), [], None
        try:
            self._tokens.pop()
            return True
        except IndexError:
            return False if time.monotonic() < self._refused_until else None

    def _ask(self, attempt: int) -> bool:
        granted = self._asked(attempt)
        if granted is None:
            granted = self._by_this_host(attempt)
        if granted:
            self._tokens.extend([None] * (granted - 1))
            self._portion = min(2 * self._portion, rules.MOST_PORTION)
            return True
        self._refused_until, self._portion = time.monotonic() + EXHAUSTED_SECONDS, 1
        return False

    def _asked(self, attempt: int) -> int | None:
        """What the collector grants; None: nobody answers."""
        if time.monotonic() < self._away_until:
            return None
        self._client = self._client or Client(self._run.owner.home)
        question = {
            "workflow": self._run.workflow, "run_id": self._run.run_id, "attempt": attempt, "task": self._task or None,
            "host": _host(), "wanted": self._portion, "firsts": self._firsts if self._task else 0,
        }  # fmt: skip
        try:
            answer = self._client.post(PATH, question, ASK_SECONDS)
            granted, self.reason = int(answer["granted"]), str(answer["reason"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            self.reason = "nobody answers (%s)" % error
            return None
        self._firsts = 0
        return granted

    def _by_this_host(self, attempt: int) -> int:
        why = self.reason
        path = os.path.join(self._run.owner.home, "budget", quoted(self._budget.name) + ".txt")
        try:
            granted, counted = spend(path, self._budget, self._firsts if self._task else int(attempt == 1), time.time())
            self.reason = "%s on this host" % rules.said(self._budget, counted)
        except OSError as error:  # what cannot be counted has no end
            granted, counted, self.reason = 0, Counted(0, 0), "this host cannot count its retries: %s" % error
        self._firsts = 0
        self._tell(attempt, bool(granted), counted, why)
        return granted

    @guarded
    def _tell(self, attempt: int, is_granted: bool, counted: Counted, why: str) -> None:
        """Write down what was decided while nobody answered."""
        from uuid import UUID, uuid5

        run, answer = self._run, "go" if is_granted else "deny"
        name = "%d/%s/%s/%s" % (attempt, self._task, rules.KIND, answer)
        if name in self._told:
            return
        self._told.add(name)
        pairs = {
            names.EVENT_ID: str(uuid5(UUID(run.run_id), name)), names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow,
            names.ATTEMPT: attempt, names.TASK_NAME: self._task or None, names.GATE_ANSWER: answer, names.GATE_KIND: rules.KIND,
            names.REASON: self.reason, names.SOURCE: run.source, names.HOST_NAME: _host(),
        }  # fmt: skip
        facts = {**self._budget._asdict(), **counted._asdict(), "unreachable": why}
        said = [{"gate": rules.NUMBER, "kind": rules.KIND, "answer": answer, "reason": self.reason, "facts": facts}]
        at_ns = run.owner.clock.now_ns()
        record = events.log_record(at_ns, names.DECISION_EVENT, run.trace_id, run.span_id, pairs, json.dumps(said))
        run.owner.write_event(run.scope, record)


def spend(path: str, budget: Budget, firsts: int, now: float) -> tuple[int, Counted]:
    """(1 or 0 retries, what was counted before): of the host's own budget, which the file at ``path`` keeps.

    A line for each question: Unix seconds, first attempts, retries. Only attempts that failed are known here, so the share is of
    those. Raises OSError.
    """
    if not _COUNTING.acquire(timeout=_TURN_SECONDS):
        raise TimeoutError("another thread counts")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            return _spent(fd, budget, firsts, now)
        finally:
            os.close(fd)
    finally:
        _COUNTING.release()


def _spent(fd: int, budget: Budget, firsts: int, now: float) -> tuple[int, Counted]:
    import fcntl

    fcntl.lockf(fd, fcntl.LOCK_EX)
    lines = map(_line, os.read(fd, _MOST_BYTES).splitlines())
    kept = [line for line in lines if abs(now - line[0]) < budget.within_seconds]  # a clock may have been set back
    counted = Counted(firsts + sum(line[1] for line in kept), sum(line[2] for line in kept))
    granted = rules.granted(budget, counted, 1)
    text = b"".join(b"%r %d %d\n" % line for line in [*kept, (now, firsts, granted)])[-_MOST_BYTES:]
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, text)
    os.ftruncate(fd, len(text))
    return granted, counted


def _line(text: bytes) -> tuple[float, int, int]:
    """A line of the file; long ago for one that was written in part."""
    try:
        at, firsts, retries = text.split()
        return float(at), int(firsts), int(retries)
    except ValueError:
        return 0.0, 0, 0


def _host() -> str | None:
    return os.uname().nodename if hasattr(os, "uname") else None
