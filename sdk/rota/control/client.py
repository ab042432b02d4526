"""Who answers a question for permission: an agent on its Unix socket, else the collector over HTTP.

Connections are kept, and one is used by one caller at a time. Whoever did not answer is left alone for a while: a function
that is called a thousand times must not wait a thousand times for nobody.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any, Dict

from rota import _config
from rota.control.line import AgentLine
from rota.control.standing import Standing
from rota.rules.tasks import ANSWERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

    from rota.control.collector import Collector

MOST_KNOWN = 256  # answers that are not read again
SILENT_SECONDS = 30.0  # how long who did not answer in time is left alone
REFUSED_SECONDS = 1.0  # ... and who is not there


class Unreachable(Exception):
    """Nobody answered, or not in time."""


class Question(Dict[str, Any]):
    """A question as decision 31 has it, which is rendered once, however often it is asked. Not changed any more by then."""

    _line = b""

    def rendered(self, home: str) -> bytes:
        """The line for an agent's socket."""
        if not self._line:
            self._line = b'{"permit":1,' + json.dumps({"home": home, **self}).encode("ascii")[1:] + b"\n"
        return self._line


class Client:
    """Asks. Safe in threads and in forked children.

    Args:
        home: absolute path of ``$ROTA_HOME``, which tells an agent whose policies hold.
        sockets: of agents; those that the environment names when left out.
        now: monotonic seconds.
    """

    def __init__(
        self, home: str, sockets: tuple[str, ...] | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._home, self._now = home, now
        self._sockets = _config.agent_sockets(home) if sockets is None else sockets
        self._agents: list[AgentLine] = []  # connections that nobody uses now
        self._known: dict[bytes, dict[str, Any]] = {}  # answers by how they were said
        self._standing = Standing(home, now)
        self._collector: Collector | None = None
        self._pid = os.getpid()
        self._agent_away_until = self._collector_away_until = 0.0

    def ask(self, question: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """The answer, a mapping with at least ``answer``, which is not to be changed: equal answers are one object.

        Raises:
            Unreachable: nobody gave one in that time.
        """
        rendered = self._rendered(question)
        standing = self._standing.find(rendered)
        if standing is not None:
            return standing
        asked_at = self._now()
        for line in self._lines():
            try:
                said = line.ask(rendered, timeout_seconds)
            except OSError as error:
                self._lost(line, error)
                continue
            except BaseException:  # interrupted: an answer may still come, for nobody
                line.close()
                raise
            self._agents.append(line)
            return self._standing.keep(rendered, question, self._heard(said), asked_at)
        return self._ask_collector(question, asked_at + timeout_seconds)

    async def ask_async(self, question: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """As ``ask``, while the event loop goes on. What waits is a socket, and for the collector a thread of our own."""
        _, loop = running_loop()
        if loop is None:  # driven by something else, whose way to wait we do not know
            return self.ask(question, timeout_seconds)
        rendered = self._rendered(question)
        standing = self._standing.find(rendered)
        if standing is not None:
            return standing
        asked_at = self._now()
        for line in self._lines():
            try:
                said = await line.ask_async(loop, rendered, timeout_seconds)
            except OSError as error:
                self._lost(line, error)
                continue
            except BaseException:
                line.close()
                raise
            self._agents.append(line)
            return self._standing.keep(rendered, question, self._heard(said), asked_at)
        deadline = asked_at + timeout_seconds
        answer: dict[str, Any] = await in_a_thread(loop, lambda: self._ask_collector(question, deadline))
        return answer

    def _rendered(self, question: dict[str, Any]) -> bytes:
        return (question if type(question) is Question else Question(question)).rendered(self._home)

    def _heard(self, said: bytes) -> dict[str, Any]:
        """What a line says; an agent says mostly the same."""
        known = self._known.get(said)
        if known is None:
            known = _answer(said)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[said] = known
        return known

    def _lines(self) -> Iterator[AgentLine]:
        """A connection that was kept, then a new one: the agent may have been started anew."""
        if self._pid != os.getpid():
            self.close()
        while self._agents:
            try:
                line = self._agents.pop()
            except IndexError:  # another thread was faster
                break
            if line.is_whole():
                yield line
                break
            line.close()
        fresh = self._connected() if self._now() >= self._agent_away_until else None
        if fresh is not None:
            yield fresh

    def _connected(self) -> AgentLine | None:
        for path in self._sockets:
            if os.path.exists(path):
                try:
                    return AgentLine(path)
                except OSError:
                    continue
        self._agent_away_until = self._now() + REFUSED_SECONDS
        return None

    def _lost(self, line: AgentLine, error: OSError) -> None:
        line.close()
        if isinstance(error, socket.timeout):
            self._agent_away_until = self._now() + SILENT_SECONDS

    def _ask_collector(self, question: dict[str, Any], deadline: float) -> dict[str, Any]:
        left_seconds = deadline - self._now()
        if self._now() < self._collector_away_until or left_seconds <= 0:
            raise Unreachable("nobody answered a moment ago")
        try:
            said = self._the_collector().ask(json.dumps(question).encode("ascii"), left_seconds)
        except (OSError, ValueError, KeyError) as error:
            self._collector_away_until = self._now() + (SILENT_SECONDS if isinstance(error, socket.timeout) else REFUSED_SECONDS)
            raise Unreachable(str(error)) from error
        return _answer(said)

    def post(self, path: str, body: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """The collector's answer to something that is no question, as leases are kept by.

        Raises:
            KeyError: what it is about is not there any more, or not ours.
            OSError, ValueError: nobody answers, or refuses.
        """
        answer: dict[str, Any] = json.loads(self._the_collector().ask(json.dumps(body).encode("ascii"), timeout_seconds, path))
        return answer

    def _the_collector(self) -> Collector:
        if self._collector is None:
            from rota.control.collector import Collector

            self._collector = Collector()
        return self._collector

    def close(self) -> None:
        """Hang up. In a forked child it is the parent's connections that are let go of, which does not disturb them."""
        while self._agents:
            self._agents.pop().close()
        if self._collector is not None:
            self._collector.close()
        self._collector, self._pid = None, os.getpid()


def running_loop() -> tuple[Any, Any]:
    """(asyncio, its loop that runs in this thread); None for what there is not."""
    asyncio = sys.modules.get("asyncio")
    return asyncio, asyncio._get_running_loop() if asyncio is not None else None


def _answer(said: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(said)
        if answer.get("answer") in ANSWERS:
            return answer
        why = str(answer["reason"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        why = "no answer: %.200r" % said
    raise Unreachable(why)


async def in_a_thread(loop: Any, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``ask`` returns or raises. The loop's own executor is the program's, and may be full."""
    import threading

    future = loop.create_future()

    def settle(result: dict[str, Any] | None, error: Exception | None) -> None:
        if not future.done():
            future.set_exception(error) if error is not None else future.set_result(result)

    def run() -> None:
        result, failed = None, None
        try:
            result = ask()
        except Exception as error:
            failed = error
        try:
            loop.call_soon_threadsafe(settle, result, failed)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    threading.Thread(target=run, name="rota-ask", daemon=True).start()
    return await future  # type: ignore[no-any-return]
