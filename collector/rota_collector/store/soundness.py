"""Whether a control store is as it was written, before anything is done with it.

SQLite reads a write-ahead log up to the first frame that fails its checksum and takes the rest for the remains of an older log:
a bit that flipped in the middle of it would silently undo what was committed after it, a key or its revocation too. And it
notices that a page of its file makes no sense only when it comes by it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from rota_collector.errors import StoreError

_HEADER, _FRAME = 32, 24  # bytes before the frames, and before the page of each
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # in which order the bytes of the numbers are that are added up
_PAGE, _PAGES = 4096, {512 << n for n in range(8)}  # where the header does not say it; all that it may say
_BITS = 0xFFFFFFFF
_AT_ONCE_BYTES = 64 << 20  # about 0.2 s
_FROM_THE_JOURNAL = ("runs", "run_tags", "workflow_days")
_RESTORE = "Restore a backup (`rota collector restore DIR`), or"
_LOST = "runs come from the journal again; keys, policies, channels and incidents"


class Unread(NamedTuple):
    """Transactions of a write-ahead log that SQLite passes over, and how many bytes there are before them."""

    transactions: int
    begin: int


def check_log(path: Path) -> None:
    """Look at the write-ahead log of the database at ``path``, which nobody has open. Raises StoreError when it is damaged.

    One transaction that was not read was still being written when the power went.
    """
    log = path.with_name(path.name + "-wal")
    unread = unread_of(log.read_bytes()) if log.exists() else Unread(0, 0)
    if unread.transactions > 1:
        raise StoreError(
            f"{log} is damaged: {unread.transactions} transactions in it cannot be read. {_RESTORE} keep a copy of it and go on "
            f"without them: truncate -s {unread.begin} {log}. Then {_LOST} are as they were before: look at `rota key list`"
        )


def check_file(connection: Connection, path: Path) -> None:
    """Look at all pages of a database, and at the keys twice. Raises StoreError when something is wrong with it.

    Of a large one, whose start would take seconds, pages of what the journal tells again are left to the next copy.
    """
    if path.stat().st_size <= _AT_ONCE_BYTES:
        problems = [str(text) for (text,) in connection.exec_driver_sql("PRAGMA quick_check(3)")]
    else:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'").scalars().all()
        looks = [f"PRAGMA quick_check('{name}')" for name in tables if name not in _FROM_THE_JOURNAL]
        problems = [str(text) for look in looks for (text,) in connection.exec_driver_sql(look)]
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_schema WHERE name = 'keys'").first():
        problems += [str(text) for (text,) in connection.exec_driver_sql("PRAGMA integrity_check('keys')")]
    if wrong := [text for text in problems if text != "ok"]:
        raise damaged(path, "; ".join(wrong[:3]))


def damaged(path: Path, why: str) -> StoreError:
    """The error that says so, and what to do."""
    return StoreError(
        f"{path} is damaged: {' '.join(why.split())}. {_RESTORE} move it away with its -wal and -shm and start again: {_LOST} "
        "are those of the last copy in copies/, or gone if there is none. Without keys, it is open to whoever reaches it"
    )


def unread_of(log: bytes) -> Unread:
    """What SQLite will not read of a write-ahead log, beyond the remains of older ones.

    Frames of this log have the numbers in common that its header drew. The format is https://sqlite.org/walformat.html.
    """
    if len(log) < _HEADER + _FRAME:
        return Unread(0, 0)
    magic, _, page, _, salts, *sums = struct.unpack_from(">IIII8sII", log)
    order = _MAGIC.get(magic, "")
    if not order or _added(order, log[: _HEADER - 8], 0, 0) != tuple(sums):
        commits = _commits(log, _HEADER, page if page in _PAGES else _PAGE)
        return Unread(max(commits.values(), default=0), 0)
    begin = _HEADER + (_FRAME + page) * sum(1 for _ in _sound(log, order, page, salts, (sums[0], sums[1])))
    return Unread(_commits(log, begin, page)[salts], begin)


def _commits(log: bytes, begin: int, page: int) -> Counter[bytes]:
    """How many frames end a transaction, by the numbers of the log that they are of."""
    places = range(begin, len(log) - _FRAME - page + 1, _FRAME + page)
    return Counter(log[at + 8 : at + 16] for at in places if log[at + 4 : at + 8] != bytes(4))


def _sound(log: bytes, order: str, page: int, salts: bytes, sums: tuple[int, int]) -> Iterator[int]:
    """The places of the frames that SQLite reads."""

    def is_sound(at: int) -> bool:
        nonlocal sums
        sums = _added(order, log[at + _FRAME : at + _FRAME + page], *_added(order, log[at : at + 8], *sums))
        return log[at + 8 : at + 16] == salts and struct.unpack_from(">II", log, at + 16) == sums

    return takewhile(is_sound, range(_HEADER, len(log) - _FRAME - page + 1, _FRAME + page))


def _added(order: str, data: bytes, first: int, second: int) -> tuple[int, int]:
    """SQLite's checksum of ``data``, going on from these two numbers."""
    for a, b, c, d in struct.iter_unpack(f"{order}4I", data[: len(data) & ~15]):
        first += a + second  # the numbers stay small enough to cut them once for two
        second += b + first
        first = first + c + second & _BITS
        second = second + d + first & _BITS
    if len(data) % 16:
        a, b = struct.unpack(f"{order}2I", data[-8:])
        first = first + a + second & _BITS
        second = second + b + first & _BITS
    return first, second
