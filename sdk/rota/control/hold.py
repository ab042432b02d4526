"""Leases that a run holds: kept alive while it runs, given back when it ends, and never believed longer than they are valid.

A lease is the collector's grant until it expires by the collector's clock. Its holder counts from before the question by a clock
that nobody sets and that goes on while the machine sleeps, and stops believing a tenth earlier: so no two believe at once. That
the holder is still there is told by renewing; a holder that is gone loses its leases by saying nothing.
"""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Sequence

    Post = Callable[[str, "dict[str, Any]", float], Mapping[str, Any]]

_MARGIN = 0.9  # of its time, for which a lease is believed
_RENEW_AT = 1 / 3  # of its time: two more questions may be lost
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Seconds since the machine started, those included in which it slept (where the system tells)."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class Held:
    """The leases of one run, each ``{"id", "token", "scope", "expires_in_seconds"}``.

    Args:
        leases: as they were granted.
        asked_at: when they were asked for, or a little earlier, by ``clock``.
        post: sends ``(path, body, timeout_seconds)`` to the collector and returns its answer; raises KeyError where the lease is
            no longer ours (409, 404), and any other error when nobody answers.
        lost: told, with the reason, when a lease can be believed no longer. When nobody answers it is renewed all the same, as
            soon as somebody does: what was held when the collector stopped it holds on for us.
    """

    def __init__(
        self, leases: Sequence[Mapping[str, Any]], asked_at: float, post: Post, lost: Callable[[str], object],
        clock: Callable[[], float] = now,
    ) -> None:  # fmt: skip
        self._leases = list(leases)
        self._post, self._lost, self._clock = post, lost, clock
        shortest = min(float(lease["expires_in_seconds"]) for lease in leases)
        self._valid_until = asked_at + _MARGIN * shortest
        self._every_seconds = _RENEW_AT * shortest
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="rota-leases", daemon=True)

    @property
    def tokens(self) -> dict[str, int]:
        """By scope, the number that whoever is written to may compare: it only grows, so an older one is a stale holder's."""
        return {lease["scope"]: lease["token"] for lease in self._leases}

    def is_valid(self) -> bool:
        """Whether the run still may believe that it has what it was granted. Ask again after any wait."""
        return not self._over.is_set() and self._clock() < self._valid_until

    def keep(self) -> None:
        """Renew them from now on, in a thread of its own, until ``release``."""
        self._thread.start()

    def release(self, timeout_seconds: float = 1.0) -> None:
        """Give them back. When nobody answers they expire; nothing is raised."""
        self._over.set()
        for lease in self._leases:
            try:
                self._post("/api/v1/leases/%s/release" % lease["id"], {"token": lease["token"]}, timeout_seconds)
            except Exception:  # noqa: S112 - it expires by itself; the next one may still be given back
                continue

    def _keep(self) -> None:
        was_lost = False
        while not self._over.wait(self._every_seconds):
            reason = self._renewed()
            if reason and not was_lost and not self._over.is_set():
                self._lost(reason)
            was_lost = bool(reason)

    def _renewed(self) -> str:
        """Why they cannot be believed; empty when they can, or still can."""
        asked_at = self._clock()
        try:
            valid = [self._renew(lease) for lease in self._leases]
        except KeyError as error:
            self._over.set()
            self._lost("the lease is not ours any more: %s" % error)
            return ""
        except Exception as error:  # nobody answers; a collector that comes back still has them for us
            return "nobody renewed it in time: %s" % error if self._clock() >= self._valid_until else ""
        self._valid_until = asked_at + _MARGIN * min(valid)
        return ""

    def _renew(self, lease: Mapping[str, Any]) -> float:
        answer = self._post("/api/v1/leases/%s/renew" % lease["id"], {"token": lease["token"]}, self._every_seconds)
        return float(answer["expires_in_seconds"])
