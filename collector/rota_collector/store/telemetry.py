"""Telemetry: every span, log record, point and run event, in one DuckDB file.

A projection of the journal: rows and the offset they were read from change in one transaction, so that whatever kills
the process, each acknowledged request is in the tables once. What was sent twice is recognised by the request's hash,
by (trace id, span id) and by event id.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from rota_collector.decode import to_rows
from rota_collector.errors import StoreError
from rota_collector.journal import Record
from rota_collector.store import batch, database
from rota_collector.store.readings import Readings
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")
_RECENT_REQUESTS = 100_000  # a client that retries does so within seconds; these are 12 at the highest rate
_CHUNK_BYTES = 8 << 20

T = TypeVar("T")


class Telemetry(Readings):
    """The open database. One thread applies; any thread may read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, set_aside: Path | None = None) -> None:
        super().__init__(connection)
        self.set_aside = set_aside  # where a file that could not be opened was moved; this one begins at offset 0
        self._writer = connection.cursor()
        self._offset = int(_one(self._writer.execute(_SQL["offset"])))
        recent = self._writer.execute(_SQL["recent_requests"]).fetchall()
        self._recent: dict[bytes, int] = {identity.bytes: offset for identity, offset in recent}

    @classmethod
    def open(cls, path: Path, *, memory_limit: str = "1GB", threads: int | None = None) -> Telemetry:
        """Opens the database; makes it beside and renames it when it is not there.

        A file that DuckDB cannot open is moved aside with its write-ahead log, and a new one begins at offset 0: the
        journal fills it again. Raises ``StoreLocked`` when another process has it open, ``StoreError`` when it cannot be used.
        """
        connection, set_aside = database.open_or_renew(path, _SQL["schema"], memory_limit, threads)
        try:
            connection.execute(_SQL["views"])
        except duckdb.Error as error:
            connection.close()
            raise StoreError(f"cannot make the views of {path}: {error}") from error
        return cls(connection, set_aside)

    def offset(self) -> int:
        """The journal offset up to which everything is in the tables."""
        return self._offset

    def close(self) -> None:
        """Closes the file. What was applied is on disk already."""
        self.close_readers()
        self._writer.close()
        self._root.close()

    def apply(self, records: Sequence[Record]) -> None:
        """Keeps records and advances the offset behind the last, in one transaction. Records before the offset are skipped.

        ``duckdb.FatalException`` means that the handle is dead: the process must end and open the file anew. After any
        other error nothing has changed, and the same records may be applied again.
        """
        records = [record for record in records if record.offset >= self._offset]
        if not records:
            return
        hashes = self._new_requests(records)
        new = [record for record in records if record.offset in hashes]
        with self._transaction() as cursor:
            for tables in _ahead(map(_decoded, _chunks(new))):
                for table, rows in tables:
                    for part in batch.parts(batch.firsts(rows, table.keys)):
                        _insert(cursor, table, part)
            forgotten = self._remember(cursor, hashes)
            cursor.execute(_SQL["advance"], [records[-1].next_offset])
        self._offset = records[-1].next_offset
        self._recent |= {identity: offset for offset, identity in hashes.items()}
        for identity in forgotten:
            del self._recent[identity]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._writer.begin()
        try:
            yield self._writer
            self._writer.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # the first error tells more
                self._writer.rollback()
            raise

    def _new_requests(self, records: Sequence[Record]) -> dict[int, bytes]:
        """Offset → hash of the requests that are not byte for byte one of the recent ones."""
        seen: dict[bytes, int] = {}
        for record in records:
            identity = blake2b(record.payload, digest_size=16, salt=bytes((record.signal,))).digest()
            if identity not in self._recent:
                seen.setdefault(identity, record.offset)
        return {offset: identity for identity, offset in seen.items()}

    def _remember(self, cursor: duckdb.DuckDBPyConnection, hashes: dict[int, bytes]) -> list[bytes]:
        """Stores hashes; returns those that are now too old to be kept in mind."""
        identities = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(hashes.values(), pa.binary(16)))
        batch.run(cursor, _SQL["remember_requests"], pa.table({"hash": identities, "offset": pa.array(hashes, pa.uint64())}))
        excess = len(self._recent) + len(hashes) - _RECENT_REQUESTS
        if excess < _RECENT_REQUESTS // 10:  # by the tenth, so that rows are deleted rarely
            return []
        forgotten = list(self._recent)[:excess]
        if forgotten:
            cursor.execute(_SQL["forget_requests"], [self._recent[forgotten[-1]] + 1])
        return forgotten


def _chunks(records: list[Record]) -> Iterator[tuple[str, list[Record]]]:
    """The records of each kind, in order, in pieces to decode at once."""
    by_kind: dict[str, list[Record]] = {}
    sizes: Counter[str] = Counter()
    for record in records:
        kind = record.signal.name.partition("_")[0]
        by_kind.setdefault(kind, []).append(record)
        sizes[kind] += len(record.payload)
        if sizes[kind] >= _CHUNK_BYTES:
            yield kind, by_kind.pop(kind)
            sizes[kind] = 0
    yield from by_kind.items()


def _decoded(chunk: tuple[str, list[Record]]) -> list[tuple[batch.Table, pa.Table]]:
    """What a chunk adds to each table."""
    kind, records = chunk
    if kind == "TRACES":
        return [(batch.SPANS, batch.together(to_rows.spans(records)))]
    if kind == "METRICS":
        return [(batch.METRICS, to_rows.metrics(records))]
    return [
        (batch.LOGS, batch.together(to_rows.logs(records))),
        (batch.RUN_EVENTS, batch.run_events(to_rows.run_events(records))),
    ]


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, with the next one already in the making: decoding and inserting each take a core."""
    with ThreadPoolExecutor(1, "rota-decode") as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _insert(cursor: duckdb.DuckDBPyConnection, table: batch.Table, rows: pa.Table) -> None:
    stretches = batch.stretches(rows, table) if table.keys else []
    if not stretches:
        batch.run(cursor, _SQL["append"].format(table=table.name, time=table.time), rows)
        return
    words = {"table": table.name, "keys": ", ".join(table.keys), "time": table.time}
    known = [_SQL["known"].format(**words, first_ns=first, last_ns=last) for first, last in stretches]
    batch.run(cursor, _SQL["insert"].format(**words, known="\nUNION ALL\n".join(known)), rows)


def _one(result: duckdb.DuckDBPyConnection) -> Any:
    row = result.fetchone()
    if row is None:
        raise StoreError(
            "cannot read telemetry.duckdb: the table progress is empty; move the file away, the journal fills a new one"
        )
    return row[0]
