"""``rota agent --once``: everything that dead processes left behind, then done."""

from __future__ import annotations

import os
import time

from rota._spool import FAILED_MARK
from rota.agent.answer import Unavailable
from rota.agent.backoff import Backoff
from rota.agent.bury import bury_unwatched
from rota.agent.carrier import Carrier
from rota.agent.spool import Spool, stem_of
from rota.agent.turn import ONCE, RESIDENT, Turn

_TRIES = 3


def drain(home: str, carrier: Carrier) -> bool:
    """Ship the spool of one home; False when a resident agent of that home does it.

    One works on a home at a time; the next waits. A script that ends while we are at it starts nobody: so, after letting
    go of the lock, look once more.

    Raises:
        Unavailable: the collector does not take everything.
    """
    spool = Spool(os.path.join(home, "spool"))
    if Turn(spool.directory, RESIDENT).is_taken():
        return False
    seen: set[str] = set()
    while _waiting(spool) - seen:
        turn = Turn(spool.directory, ONCE)
        turn.wait()
        try:
            seen |= _waiting(spool)
            _carry_all(spool, carrier)
        finally:
            turn.give_back()
    return True


def _waiting(spool: Spool) -> set[str]:
    return {directory + "/" + name for directory in (spool.live, spool.left) for name in spool.names(directory)}


def _carry_all(spool: Spool, carrier: Carrier) -> None:
    for stem in sorted({stem_of(name) for name in spool.names(spool.live)}):
        _bury(spool, stem)
    backoff = Backoff()
    while _round(spool, carrier, backoff):
        pass


def _bury(spool: Spool, stem: str) -> None:
    try:
        bury_unwatched(spool, stem)
    except OSError:  # the carrier says it, once for the whole spool
        pass


def _round(spool: Spool, carrier: Carrier, backoff: Backoff) -> bool:
    """Whether there may be more."""
    try:
        return carrier.round(spool, is_resident=False)
    except Unavailable as error:
        wait_seconds = backoff.next_seconds(error.retry_after_seconds)
        if backoff.failures >= _TRIES:
            leave_mark(spool.directory)
            carrier.trim(spool)
            raise
        time.sleep(wait_seconds)
        return True


def leave_mark(spool_path: str, mark: str = FAILED_MARK) -> None:
    """Have scripts start no other one of us for a while: its age tells."""
    try:
        with open(spool_path + mark, "w", encoding="ascii"):
            pass
    except OSError:
        pass
