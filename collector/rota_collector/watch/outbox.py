"""The sender: a loop with a clock that carries what is in the outbox to its channels, each in order, none behind another."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from rota_collector import log
from rota_collector.clock import Clock
from rota_collector.counters import Counters
from rota_collector.domain.exposition import series
from rota_collector.domain.message import Message
from rota_collector.errors import ChannelRefused
from rota_collector.notify.outcome import INTERRUPTED, NEVER, SENT, Outcome
from rota_collector.notify.worker import SEND_SECONDS, Ticket
from rota_collector.store.alerts import APPRISE, PATIENT_ATTEMPTS, Alerts, Channel, Outgoing, kind_of

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 1800.0
LONGEST_ASKED_SECONDS = 3600.0  # of a Retry-After
GIVE_UP_NS = 24 * 3600 * 10**9  # after so long, and several attempts, a message is dead
LONGEST_SLEEP_SECONDS = 1.0
ASKED_SECONDS = 12.0  # for somebody who waits: less than the command line does
_PRUNE_SECONDS = 3600.0


class Post(Protocol):
    """What the sender needs of the worker."""

    def submit(self, request: Mapping[str, Any]) -> Ticket:
        """Hand over a request. Raises OSError."""

    def answer(self, request: Mapping[str, Any], seconds: float = SEND_SECONDS) -> Outcome:
        """The outcome of a request, waited for. Raises OSError."""

    def give_up(self, ticket: Ticket) -> None:
        """It took too long."""

    def close(self) -> None:
        """Send nothing any more."""


class _Flight(NamedTuple):
    message: Outgoing
    ticket: Ticket
    deadline: float  # monotonic


class Sender(threading.Thread):
    """Sends what ``alerts`` holds through ``worker``. ``chance`` (0 to 1) spreads the attempts of many.

    A message is marked after it was sent: what dies in between sends it again, under the same id. A channel has one message
    under way; while that fails, the later ones wait behind it for a few attempts, and the channel for longer and longer.
    """

    def __init__(self, alerts: Alerts, worker: Post, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        super().__init__(name="rota-outbox", daemon=True)
        self._alerts, self._worker, self._clock, self._chance = alerts, worker, clock, chance
        self._flights: dict[str, _Flight] = {}
        self._failures: dict[str, int] = {}  # of a channel, in a row
        self._wakes = threading.Event()
        self._stopping = threading.Event()
        self._pruned_at = float("-inf")
        self.trouble: str | None = None  # why the last round failed; None while all is well
        self.counters = Counters()

    # -- for others ---------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something was enqueued, or answered: look now."""
        self._wakes.set()

    def stop(self, seconds: float) -> None:
        """Let what is under way finish for so long, then end. What waits is sent by the next start."""
        self._stopping.set()
        self.wake()
        if self.ident is not None:
            self.join(seconds)
        self._worker.close()

    def check(self, url: str) -> str:
        """The address of a channel as people may see it. Raises ChannelRefused when it cannot be used, and says why."""
        outcome = self._answer({"do": "check", "kind": kind_of(url), "url": url})
        if outcome.kind != SENT:
            raise ChannelRefused(outcome.said)
        return outcome.said

    def send_now(self, channel: Channel, message: Message) -> Outcome:
        """Send a message past the outbox, once."""
        return self._answer(_request(channel, message.id, message.title, message.text, message.payload))

    def _answer(self, request: dict[str, Any]) -> Outcome:
        try:
            return self._worker.answer(request, ASKED_SECONDS)
        except OSError as error:
            return Outcome(INTERRUPTED, f"the process that sends cannot be started: {error.strerror or error}")

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Send until stopped, and until what is under way then is known."""
        while not self._stopping.is_set() or self._flights:
            try:
                sleep_seconds = self.step()
                self.trouble = None
            except Exception as error:  # noqa: BLE001 (a sender that gives up would keep every alert to itself)
                self._complain(f"{type(error).__name__}: {error}")
                sleep_seconds = LONGEST_SLEEP_SECONDS
            self._wakes.wait(sleep_seconds)
            self._wakes.clear()

    def step(self) -> float:
        """Mark what was answered, give up what takes too long, send what is due. Seconds until there is more to do."""
        for name in list(self._flights):
            self._look_at(name, self._flights[name])
        if self._stopping.is_set():
            return LONGEST_SLEEP_SECONDS
        now_ns = self._clock.now_ns()
        waits = [self._take_off(name, head, now_ns) for name, head in self._alerts.heads().items() if name not in self._flights]
        self._prune(now_ns)
        return min([LONGEST_SLEEP_SECONDS, *waits])

    def _take_off(self, name: str, head: Outgoing, now_ns: int) -> float:
        """Send what a channel gets next, or say in how many seconds."""
        wait_seconds = (head.next_ns - now_ns) / 1e9
        if 0 < wait_seconds <= 2 * LONGEST_ASKED_SECONDS:  # a longer one: the clock was set back meanwhile
            return wait_seconds
        channel = self._alerts.channel(name)
        if channel is None:
            return LONGEST_SLEEP_SECONDS  # it was removed this very moment
        ticket = self._worker.submit(_request(channel, head.id, head.title, head.text, head.payload))
        self._flights[name] = _Flight(head, ticket, self._clock.monotonic() + SEND_SECONDS)
        ticket.outcome.add_done_callback(lambda _: self.wake())
        return LONGEST_SLEEP_SECONDS

    def _look_at(self, name: str, flight: _Flight) -> None:
        if flight.ticket.outcome.done():
            self._mark(name, flight.message, flight.ticket.outcome.result())
            del self._flights[name]  # only now: what could not be marked is tried again, and not sent again
        elif self._clock.monotonic() > flight.deadline:
            self._worker.give_up(flight.ticket)

    def _mark(self, name: str, message: Outgoing, outcome: Outcome) -> None:
        now_ns = self._clock.now_ns()
        if outcome.kind == SENT:
            self._alerts.mark_sent(message.id, now_ns)
            self._count("sent")
            self._failures.pop(name, None)
        elif outcome.kind != INTERRUPTED:
            failures = self._failures.get(name, 0) + 1
            next_ns = None
            is_too_old = now_ns - message.created_ns >= GIVE_UP_NS and message.attempts + 1 >= PATIENT_ATTEMPTS
            if outcome.kind != NEVER and not is_too_old:
                next_ns = now_ns + round(self._wait_seconds(max(failures, message.attempts + 1), outcome) * 1e9)
            self._alerts.mark_failed(message.id, now_ns, next_ns, outcome.said)
            self._failures[name] = failures
            self._count("dead" if next_ns is None else "failed")
            if next_ns is None:
                lost = f"alert {message.id} will not reach {name!r}: {outcome.said}. `rota channel test {name}` tries the channel"
                log.say(lost, log.WARN, f"alerts for {name}")

    def _count(self, outcome: str) -> None:
        self.counters.add(series("rota_alerts_settled_total", outcome=outcome))

    def _wait_seconds(self, failures: int, outcome: Outcome) -> float:
        wait_seconds = backoff(failures, self._chance())
        return max(wait_seconds, min(outcome.retry_after or 0.0, LONGEST_ASKED_SECONDS))

    def _prune(self, now_ns: int) -> None:
        if self._clock.monotonic() - self._pruned_at > _PRUNE_SECONDS:
            self._alerts.prune(now_ns)
            self._pruned_at = self._clock.monotonic()

    def _complain(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.say(f"outbox: trying again: {trouble}", log.WARN)
        self.trouble = trouble


def backoff(failures: int, chance: float) -> float:
    """Seconds until the next attempt after so many failures; ``chance`` (0 to 1) moves it by a fifth either way."""
    doubled = FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 20)
    return min(doubled, LONGEST_WAIT_SECONDS) * (0.8 + 0.4 * chance)


def _request(channel: Channel, identity: str, title: str, text: str, payload: dict[str, Any]) -> dict[str, Any]:
    common = {"do": "send", "kind": channel.kind, "url": channel.url, "id": identity, "payload": payload}
    return {**common, "title": title, "text": text} if channel.kind == APPRISE else {**common, "secret": channel.secret}
