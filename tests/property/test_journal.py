"""Whatever happens to the bytes of a journal, only the records that it happened to are lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rota_collector.clock import ManualClock
from rota_collector.journal import Journal, Signal

# Payloads may hold what marks a record, and look like one.
PAYLOADS = st.lists(st.binary(max_size=60) | st.just(b"\xf5rJ\x01" * 8), min_size=1, max_size=8)


@contextmanager
def journal_of(payloads: list[bytes], segment_bytes: int) -> Iterator[tuple[Path, list[int]]]:
    """A closed journal that holds the payloads, and their offsets with the end behind them."""
    with tempfile.TemporaryDirectory() as home:
        journal = Journal(Path(home), clock=ManualClock(), segment_bytes=segment_bytes)
        offsets = [journal.append_blocking(Signal.LOGS_PROTO, payload) for payload in payloads]
        journal.close()
        yield Path(home), [*offsets, journal.durable_end]


@contextmanager
def reopened(home: Path) -> Iterator[Journal]:
    journal = Journal(home, clock=ManualClock())
    try:
        yield journal
    finally:
        journal.close()


def everything(journal: Journal, offset: int = 0) -> list[bytes]:
    payloads: list[bytes] = []
    while records := journal.read(offset, 50):
        payloads += [record.payload for record in records]
        offset = records[-1].next_offset
    return payloads


def last_segment(home: Path) -> tuple[int, Path]:
    path = max(home.glob("*.journal"))
    return int(path.stem), path


@settings(max_examples=60, deadline=None)
@given(PAYLOADS, st.integers(1, 300), st.data())
def test_a_torn_tail_costs_only_what_was_not_whole(payloads: list[bytes], segment_bytes: int, data: st.DataObject) -> None:
    """However much of the last segment is missing, every whole record before is read, and appending goes on behind it."""
    with journal_of(payloads, segment_bytes) as (home, offsets):
        first, path = last_segment(home)
        size = data.draw(st.integers(0, path.stat().st_size))
        with path.open("r+b") as file:
            file.truncate(size)
        whole = [payload for payload, end in zip(payloads, offsets[1:], strict=True) if end <= first + size]
        with reopened(home) as journal:
            assert everything(journal) == whole
            assert journal.torn_bytes == first + size - journal.durable_end
            journal.append_blocking(Signal.LOGS_PROTO, b"after")
            assert everything(journal) == [*whole, b"after"]
            assert not journal.damage


@settings(max_examples=60, deadline=None)
@given(PAYLOADS, st.integers(1, 300), st.data())
def test_garbage_behind_the_end_costs_nothing(payloads: list[bytes], segment_bytes: int, data: st.DataObject) -> None:
    """Bytes that a crash left after the last record are cut; all records are read."""
    with journal_of(payloads, segment_bytes) as (home, offsets):
        garbage = data.draw(st.binary(max_size=80) | st.just(bytes(64)))
        with last_segment(home)[1].open("ab") as file:
            file.write(garbage)
        with reopened(home) as journal:
            assert everything(journal) == payloads
            assert (journal.torn_bytes, journal.durable_end) == (len(garbage), offsets[-1])


@settings(max_examples=200, deadline=None)
@given(PAYLOADS, st.integers(1, 300), st.data())
def test_a_flipped_bit_costs_one_record(payloads: list[bytes], segment_bytes: int, data: st.DataObject) -> None:
    """A flipped bit anywhere loses the record that it is in, and no other."""
    with journal_of(payloads, segment_bytes) as (home, offsets):
        position = data.draw(st.integers(0, offsets[-1] - 1))
        hit = max(i for i, offset in enumerate(offsets) if offset <= position)
        first, path = max((int(path.stem), path) for path in home.glob("*.journal") if int(path.stem) <= position)
        content = bytearray(path.read_bytes())
        content[position - first] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        with reopened(home) as journal:
            assert everything(journal) == payloads[:hit] + payloads[hit + 1 :]
            assert len(journal.damage) + (journal.torn_bytes > 0) == 1


@settings(max_examples=60, deadline=None)
@given(PAYLOADS, st.integers(1, 300), st.data())
def test_reading_may_begin_anywhere(payloads: list[bytes], segment_bytes: int, data: st.DataObject) -> None:
    """From any offset, reading finds the records that begin at or after it."""
    with journal_of(payloads, segment_bytes) as (home, offsets), reopened(home) as journal:
        start = data.draw(st.integers(0, offsets[-1]))
        expected = [payload for payload, offset in zip(payloads, offsets[:-1], strict=True) if offset >= start]
        assert everything(journal, start) == expected
