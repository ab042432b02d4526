"""Bury a dead process: append what its end says of its runs, and move its files to ``left/``, from where they are carried."""

from __future__ import annotations

import os
from typing import Iterator, Mapping

from rota.agent import ends
from rota.agent.spool import Claim, Spool, signal_of
from rota.agent.witness import Ending


def bury(spool: Spool, stem: str, ending: Ending | None, ended_at_ns: int, used: Mapping[str, object] | None = None) -> bool:
    """Settle the files of a watched process that ended; False while somebody else has one of them.

    The words go to disk before anybody ships them: an agent killed here loses none, and says none twice (same event ids).

    Args:
        spool: where its files are.
        stem: whose.
        ending: how it ended; None when the kernel did not tell.
        ended_at_ns: when, Unix time.
        used: attributes that say what it used.

    Raises:
        OSError: the spool cannot be written. Try again later.
    """
    with spool.mutex:
        return _bury(spool, stem, ending, ended_at_ns if ending else 0, used)


def bury_unwatched(spool: Spool, stem: str) -> bool:
    """The same for a process that nobody watched, if it is dead; its last write is the last sign of life. Raises as ``bury``."""
    with spool.mutex:
        if stem in spool.watched or spool.holder_held(stem) != 0:
            return False
        return _bury(spool, stem, None, 0)


def _bury(spool: Spool, stem: str, ending: Ending | None, ended_at_ns: int, used: Mapping[str, object] | None = None) -> bool:
    parts = spool.parts(stem)
    at_ns = ended_at_ns or max([_written_ns(part) for part in parts], default=0)
    lines = ends.end_lines(ends.read(log_lines(spool, parts)), ending, at_ns, used)
    return _settle(spool, parts, lines)


def _settle(spool: Spool, parts: list[tuple[str, str]], lines: list[bytes]) -> bool:
    """Append to the last log file first, so that a crash in between leaves it where the next shipper looks."""
    last_log = next((part for part in reversed(parts) if signal_of(part[1]) == "logs"), None)
    os.makedirs(spool.left, mode=0o700, exist_ok=True)
    for part in sorted(parts, key=lambda part: part != last_log):
        claim = spool.claim_held(*part)
        if claim is None:
            return False
        with claim:
            _settle_one(spool, claim, lines if part == last_log else [])
    return True


def _settle_one(spool: Spool, claim: Claim, lines: list[bytes]) -> None:
    if lines:
        claim.append(lines)
    else:
        claim.finish_line()
    claim.move_to(spool.left)


def log_lines(spool: Spool, parts: list[tuple[str, str]]) -> Iterator[bytes]:
    """The spool lines of these files that tell states. The spool's mutex is held."""
    for directory, name in parts:
        if signal_of(name) == "logs":
            yield from spool.lines_held(directory, name)


def _written_ns(part: tuple[str, str]) -> int:
    try:
        return os.stat(os.path.join(*part)).st_mtime_ns
    except OSError:
        return 0
