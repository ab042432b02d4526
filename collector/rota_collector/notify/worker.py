"""The collector's end of the process that sends: starts it, talks to it, and kills it when it does not answer."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from rota_collector.notify.outcome import INTERRUPTED, LATER, Outcome

COMMAND = (sys.executable, "-P", "-m", "rota_collector.notify")
SEND_SECONDS = 20.0  # whoever waits for an outcome gives up then
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_CLOSE_SECONDS = 1.0
_INTERRUPTED = Outcome(INTERRUPTED, "another message took too long, and the process that sends was started anew; try again")


class Ticket:
    """One request that is under way."""

    def __init__(self, number: int, child: _Child) -> None:
        self.number, self.child = number, child
        self.outcome: Future[Outcome] = Future()


class Worker:
    """The process that sends, started by the first request, and again by the next one when it has died."""

    def __init__(self, *, allow_private: bool, environ: Mapping[str, str] = os.environ) -> None:
        self._environment = {name: environ[name] for name in _INHERITED if name in environ}
        if allow_private:
            self._environment["ROTA_WEBHOOK_ALLOW_PRIVATE"] = "1"
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Of the process, when there is one."""
        with self._lock:
            return self._child.process.pid if self._child and not self._child.is_over else None

    def submit(self, request: Mapping[str, Any]) -> Ticket:
        """Hand over a request; its outcome comes by itself, or when ``give_up`` is called. Raises OSError."""
        with self._lock:
            if self._is_closed:
                raise BrokenPipeError("the collector is stopping")
            if self._child is None or self._child.is_over:
                self._child = _Child(self._environment)
            ticket = Ticket(next(self._numbers), self._child)
            self._child.ask(ticket, request)
        return ticket

    def answer(self, request: Mapping[str, Any], seconds: float = SEND_SECONDS) -> Outcome:
        """The outcome of a request, waited for."""
        ticket = self.submit(request)
        try:
            return ticket.outcome.result(seconds)
        except TimeoutError:
            self.give_up(ticket)
            return ticket.outcome.result()

    def give_up(self, ticket: Ticket) -> None:
        """It took too long: the process is killed, as nothing less ends a thread. Others under way are not to blame."""
        ticket.child.kill(ticket.number)

    def close(self) -> None:
        """End the process, and take no more requests."""
        with self._lock:
            self._is_closed, child = True, self._child
        if child is not None:
            child.close()


class _Child:
    """One such process, a thread that writes to it and one that reads from it: neither may hold up the collector."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            COMMAND, env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )  # fmt: skip
        self._lock = threading.Lock()
        self._waiting: dict[int, Ticket] = {}
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._culprit: int | None = None
        self.is_over = False
        for target in (self._write, self._read):
            threading.Thread(target=target, name="rota-notify", daemon=True).start()

    def ask(self, ticket: Ticket, request: Mapping[str, Any]) -> None:
        line = json.dumps({**request, "number": ticket.number}).encode() + b"\n"
        with self._lock:
            if not self.is_over:
                self._waiting[ticket.number] = ticket
                self._lines.put(line)
                return
        ticket.outcome.set_result(_INTERRUPTED)

    def kill(self, culprit: int) -> None:
        with self._lock:
            if culprit not in self._waiting:
                return  # it was answered meanwhile
            self._culprit = culprit
            self.is_over = True  # the next request gets a new one
        self.process.kill()

    def close(self) -> None:
        self._lines.put(None)
        try:
            self.process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _write(self) -> None:
        assert self.process.stdin is not None
        try:
            with self.process.stdin as pipe:
                while (line := self._lines.get()) is not None:
                    pipe.write(line)
                    pipe.flush()
        except OSError:  # it is dead: the other thread notices
            pass

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            for line in pipe:
                number, *outcome = json.loads(line)
                self._settle(number, Outcome(*outcome))
        self._end()

    def _settle(self, number: int, outcome: Outcome) -> None:
        with self._lock:
            ticket = self._waiting.pop(number, None)
        if ticket is not None:
            ticket.outcome.set_result(outcome)

    def _end(self) -> None:
        self._lines.put(None)  # lets the other thread end
        self.process.wait()
        with self._lock:
            self.is_over = True
            left, self._waiting = self._waiting, {}
        for ticket in left.values():
            ticket.outcome.set_result(self._why(ticket.number))

    def _why(self, number: int) -> Outcome:
        if self._culprit is None:
            return Outcome(LATER, f"the process that sends ended by itself (status {self.process.returncode})")
        return Outcome(LATER, "no answer in time") if number == self._culprit else _INTERRUPTED
