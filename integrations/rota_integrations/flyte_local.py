"""What a local run of Flyte's, of either generation, is told as: from its first word to its last, with its tasks and steps."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import Any

from rota.foreign import Source, harmless
from rota_integrations import raised
from rota_integrations.states import Table

SCOPE = ("org", "project", "domain")
QUIET_NS = 100_000_000  # as of rota's own tasks


class Run:
    """A run that goes on in this process.

    Args:
        source: by which it is told.
        states: Flyte's words.
        workflow: the name of its outermost task.
    """

    def __init__(self, source: Source, states: Table, workflow: str) -> None:
        self._source, self._states, self._workflow = source, states, workflow
        self._key: tuple[str, ...] = ()
        self._began_ns = time.time_ns()
        self._attempts: dict[str, int] = {}  # action → how often it was begun
        self._failed: set[str] = set()  # actions whose last attempt failed
        self.told_ns = 0  # when something was told last of its tasks

    def begin(self, name: str, scope: Any = None) -> None:
        """It has a name: of itself, and of its org, project and domain where it is reported to a platform.

        A name that somebody gave to a run that nobody else keeps may be given again tomorrow: it is one of many then.
        """
        of = tuple(str(getattr(scope, part, None) or "") for part in SCOPE)
        self._key = (*of, name) if scope is not None or _is_uuid(name) else (*of, name, os.uname().nodename, str(self._began_ns))
        self._tell("running")

    def end(self, word: str, error: BaseException | None = None) -> None:
        """It is over. A task that it left behind may still tell how it ended."""
        if self._key:
            self._tell(word, error)
            self._source.flush()

    def _tell(self, word: str, error: BaseException | None = None) -> None:
        state = self._states.of_run(word)
        self._source.run(
            self._workflow, self._key, state.name, self._began_ns if word == "running" else time.time_ns(), raw_state=word,
            reason=state.reason, started_ns=self._began_ns, host=os.uname().nodename,
            error=error_of(error) if error is not None and not self._failed else None,  # else the task says it better
        )  # fmt: skip

    def task(self, of: Try, word: str, error: BaseException | None = None) -> None:
        """Tell how an attempt is."""
        if not self._key:
            return
        state, now_ns = self._states.of_task(word), time.time_ns()
        self.told_ns = now_ns
        (self._failed.add if word == "failed" else self._failed.discard)(of.action)
        self._source.task(
            self._workflow, self._key, of.name, state.name, of.began_ns if word == "running" else now_ns,
            instance=of.action, raw_state=word, reason=state.reason, attempt=of.attempt, started_ns=of.began_ns,
            error=error_of(error) if error is not None else None, facts={"flyte.action_name": of.action},
        )  # fmt: skip

    def count(self, action: str) -> int:
        """Which attempt of an action begins now."""
        self._attempts[action] = attempt = self._attempts.get(action, 0) + 1
        return attempt


class Try:
    """One attempt of a task, or of a step of one."""

    def __init__(self, run: Run, name: str, action: str) -> None:
        self._run, self.name, self.action, self.began_ns = run, name, action, time.time_ns()
        self.attempt = run.count(action)
        self._later: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """It began. This is told at once where it was quiet, else when it has lasted a while: most are over before."""
        if self.began_ns - self._run.told_ns > QUIET_NS:
            self._running()
            return
        try:
            self._later = asyncio.get_running_loop().call_later(QUIET_NS / 1e9, harmless(self._running))
        except RuntimeError:  # a step of a plain function, in a thread of its own
            self._running()

    def end(self, word: str, error: BaseException | None = None) -> None:
        """How it ended."""
        if self._later is not None:
            self._later.cancel()
        self._run.task(self, word, error)

    def _running(self) -> None:
        self._run.task(self, "running")


def how(error: BaseException | None) -> str:
    """Flyte's word for what ended like this."""
    if error is None:
        return "succeeded"
    return "aborted" if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)) else "failed"


def error_of(problem: BaseException) -> dict[str, str]:
    """What went wrong. An error that came through Flyte says in ``code`` what it was before."""
    code = getattr(problem, "code", None)
    return raised.attributes(problem, code if isinstance(code, str) else None)


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
