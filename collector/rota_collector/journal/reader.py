"""Reading the journal, in the process that writes it or in another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from rota_collector import _files
from rota_collector._records import Record, Segment, records
from rota_collector.journal.extent import Extent


class Reader:
    """The durable records in ``directory``. Any thread may read.

    ``damage`` maps the offset of each place that failed its checksum to the number of bytes that reading skipped there.
    """

    def __init__(self, directory: Path, extent: Extent) -> None:
        self._directory, self._extent = directory, extent
        self.damage: dict[int, int] = {}
        self._nothing_until: dict[int, int] = {}  # offset -> end of a stretch in which read() found no record

    @property
    def durable_end(self) -> int:
        """The offset after the last record that is on disk."""
        return self._extent.durable_end

    def read(self, offset: int, max_bytes: int) -> list[Record]:
        """The durable records from ``offset`` on, at least one if there is one, until their payloads reach ``max_bytes``.

        What fails its checksum is skipped and noted in ``damage``. Raises ``JournalFailed`` when the disk cannot be read.
        """
        found: list[Record] = []
        size, start = 0, offset
        try:
            for segment, stop in self._from(offset):
                for record in records(segment, max(offset, segment.first), stop, self.damage):
                    found.append(record)
                    size += len(record.payload)
                    if size >= max_bytes:
                        return found
                offset = stop
        except OSError as error:
            raise _files.refusal(error, self._directory) from error
        if not found and offset > start:
            self._nothing_until[start] = offset
        return found

    def wait_beyond(self, offset: int, timeout_seconds: float) -> bool:
        """Blocks until there may be a record from ``offset`` on; False after ``timeout_seconds``, or when none will come."""
        return self._extent.wait_beyond(self._nothing_until.get(offset, offset), timeout_seconds)

    def _from(self, offset: int) -> Iterator[tuple[Segment, int]]:
        """Each segment that holds something durable beyond ``offset``, with the offset where it ends."""
        # In this order: a segment is there before anything in it is durable, and where it begins the one before ends.
        end = self._extent.durable_end
        segments = [Segment(first, path) for first, path in _files.segments(self._directory)]
        for i in range(max(0, bisect_right(segments, offset, key=lambda segment: segment.first) - 1), len(segments)):
            stop = min(end, segments[i + 1].first) if i + 1 < len(segments) else end
            if stop > offset:
                yield segments[i], stop
