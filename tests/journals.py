"""A journal to fill and to read, and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rota_collector.journal import Journal, Signal

Opener = Callable[..., Journal]  # the fixture ``open_journal``


def everything(journal: Journal, offset: int = 0) -> list[bytes]:
    """All payloads from ``offset`` on, read in small steps as a follower does."""
    payloads: list[bytes] = []
    while records := journal.read(offset, 1):
        payloads += [record.payload for record in records]
        offset = records[-1].next_offset
    return payloads


def put(journal: Journal, *payloads: bytes) -> list[int]:
    return [journal.append_blocking(Signal.LOGS_JSON, payload) for payload in payloads]


def segments(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "journal").glob("*.journal"))
