"""What of a request's bytes can be kept, for the one who sends it."""

from __future__ import annotations

from typing import NamedTuple

from rota_collector.decode import Accepted, check
from rota_collector.decode.beyond import narrowed
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.journal import Signal


class Checked(NamedTuple):
    """What is kept of a request, and what is answered."""

    signal: Signal
    payload: bytes | bytearray
    outcome: Accepted


def checked(signal: Signal, payload: bytes | bytearray, reach: Reach = EVERYTHING) -> Checked:
    """Decode a whole body, and take out the rows of workflows beyond reach. Raises ``Malformed``."""
    outcome = check(signal, payload)
    if reach.is_everything:
        return Checked(signal, payload, outcome)
    left = narrowed(signal, payload, reach)
    if left.payload is payload:
        return Checked(signal, payload, outcome)
    rest = check(left.signal, left.payload)
    reasons = "; ".join(each for each in (left.reason, rest.reason) if each)
    return Checked(left.signal, left.payload, Accepted(left.rejected + rest.rejected, reasons, outcome.items))
