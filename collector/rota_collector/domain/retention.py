"""What may be forgotten, and when. Pure.

An acknowledged fact is in the journal until it is in both stores and in a copy of them that somebody has read back. So a
segment that age or size no longer keeps goes only when every cursor and the latest copy are past it; and it is that wish
that has a copy made, so that where nothing need go, nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rota_collector.config import Keep

_FILL = 0.9  # of the size limit, that rows are deleted down to
_MOSTLY_FREE, _WORTH_IT_BYTES = 0.5, 256 << 20  # from which on a file is written anew


class Segment(NamedTuple):
    """A file of the journal: offsets of its first byte and behind its last, and when it was last written (Unix ns)."""

    first: int
    end: int
    written_ns: int


class Verdict(NamedTuple):
    """What is to be done about the journal."""

    deletable: Sequence[Segment]
    wants_copy: bool  # more could go if there were a newer one


def judge(segments: Sequence[Segment], keep: Keep, now_ns: int, cursors: Sequence[int], copied: int) -> Verdict:
    """Which of the segments (in order) may go. ``cursors``: up to where each reader of the journal is; ``copied``: up to
    where the latest verified copy holds it.
    """
    unwanted = segments[: _unwanted(segments, keep, now_ns)]
    read = [segment for segment in unwanted if segment.end <= min(cursors)]
    deletable = [segment for segment in read if segment.end <= copied]
    return Verdict(deletable, len(deletable) < len(read))


def _unwanted(segments: Sequence[Segment], keep: Keep, now_ns: int) -> int:
    """How many of the oldest neither age nor size keeps. Never the last one: it is being written."""
    size = segments[-1].end - segments[0].first if segments else 0
    for i, segment in enumerate(segments[:-1]):
        is_old = keep.journal_ns is not None and now_ns - segment.written_ns > keep.journal_ns
        is_too_much = keep.journal_bytes is not None and size > keep.journal_bytes
        if not is_old and not is_too_much:
            return i
        size -= segment.end - segment.first
    return max(0, len(segments) - 1)


def size_cutoff(oldest_ns: int, now_ns: int, used: int, limit: int | None) -> int | None:
    """Rows from before it have to go, so that the size comes under its limit; None: it is. Rows lie evenly in time, about;
    where they do not, the next look corrects it.
    """
    if limit is None or used <= limit or now_ns <= oldest_ns:
        return None
    return oldest_ns + round((now_ns - oldest_ns) * (1 - _FILL * limit / used))


def is_worth_compacting(free: int, total: int) -> bool:
    """Whether so much of a file of ``total`` bytes holds nothing that it should be written anew."""
    return free >= _WORTH_IT_BYTES and free > _MOSTLY_FREE * total
