"""Telemetry: every span, log record, point and run event, in one DuckDB file.

A projection of the journal: rows and the offset they were read from change in one transaction, so that whatever kills
the process, each acknowledged request is in the tables once. What was sent twice is recognised by the request's hash,
by (trace id, span id) and by event id.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from rota.rules.fold import RunEvent
from rota_collector.config import Config
from rota_collector.decode import to_rows
from rota_collector.domain.memory import of_store
from rota_collector.errors import StoreError
from rota_collector.journal import Record
from rota_collector.store import batch, database
from rota_collector.store.sql import queries
from rota_collector.store.upkeep import Upkeep

_SQL = queries("telemetry.sql")
_RECENT_REQUESTS = 100_000  # a client that retries does so within seconds; these are 12 at the highest rate
_CHUNK_BYTES = 8 << 20
_MEMORY = of_store(Config.memory)  # bytes, unless somebody says otherwise

RunEvents = Callable[[Sequence[Record]], list[RunEvent]]


class Batch(NamedTuple):
    """Records that are ready to be inserted."""

    tables: list[tuple[batch.Table, pa.Table]]
    identities: dict[bytes, int]  # hash → offset of each request
    next_offset: int  # behind the last of them


class Telemetry(Upkeep):
    """The open database. One thread inserts; any thread may read."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        memory: int,
        set_aside: Path | None = None,
        run_events: RunEvents = to_rows.run_events,
    ) -> None:
        super().__init__(connection, memory)
        self._run_events = run_events
        self.set_aside = set_aside  # where a file was moved that could not be opened; the journal fills this one
        self._offset = int(_one(self._writer.execute(_SQL["offset"])))
        recent = self._writer.execute(_SQL["recent_requests"]).fetchall()
        self._recent: dict[bytes, int] = {identity.bytes: offset for identity, offset in recent}

    @classmethod
    def open(
        cls, path: Path, *, memory: int = _MEMORY, threads: int | None = None, run_events: RunEvents = to_rows.run_events
    ) -> Telemetry:
        """Opens the database, which takes ``memory`` bytes at most; makes it beside and renames it when it is not there.

        A file that DuckDB cannot open is moved aside with its write-ahead log. The last verified copy takes its place, or a new
        one that begins at offset 0, and the journal fills it again. Raises ``StoreLocked`` when another process has it open,
        ``StoreNewer`` when a newer version wrote it, ``StoreError`` when it cannot be used.
        """
        connection, set_aside = database.open_or_renew(path, _SQL["schema"], memory, threads)
        try:
            database.migrate(connection, path)
            connection.execute(_SQL["views"])
        except duckdb.Error as error:
            connection.close()
            raise StoreError(f"cannot bring {path} up to date: {error}") from error
        except StoreError:
            connection.close()
            raise
        return cls(connection, memory, set_aside, run_events)

    def offset(self) -> int:
        """The journal offset up to which everything is in the tables."""
        return self._offset

    def close(self) -> None:
        """Closes the file. What was applied is on disk already."""
        self.close_readers()
        self._writer.close()
        self._root.close()

    def apply(self, records: Sequence[Record]) -> None:
        """``insert`` what ``prepare`` makes of the records."""
        self.insert(self.prepare(records))

    def prepare(self, records: Sequence[Record], before: Batch | None = None) -> Batch:
        """Decodes records, without those before the offset and those that came again. In any one thread, while another inserts.

        ``before``: the batch that comes before this one, when it may not be in the tables yet.
        """
        offset = self._offset if before is None else before.next_offset
        records = [record for record in records if record.offset >= offset]
        hashes = self._new_requests(records, {} if before is None else before.identities)
        new = [record for record in records if record.offset in hashes]
        tables = [table for chunk in _chunks(new) for table in self._decoded(chunk)]
        identities = {identity: offset for offset, identity in hashes.items()}
        return Batch(tables, identities, records[-1].next_offset if records else offset)

    def insert(self, prepared: Batch) -> None:
        """Keeps a batch and advances the offset behind it, in one transaction.

        ``duckdb.FatalException`` means that the handle is dead: the process must end and open the file anew. After any
        other error nothing has changed, and the same batch may be inserted again.
        """
        if prepared.next_offset > self._offset:
            with self._turn:
                self._insert(prepared)
        self.checkpoint()

    def _insert(self, prepared: Batch) -> None:
        with self._transaction() as cursor:
            for table, rows in prepared.tables:
                for part in batch.parts(batch.firsts(rows, table.keys)):
                    _insert(cursor, table, part)
            forgotten = self._remember(cursor, prepared.identities)
            cursor.execute(_SQL["advance"], [prepared.next_offset])
        self._offset = prepared.next_offset
        self._recent |= prepared.identities
        for identity in forgotten:
            del self._recent[identity]

    def _decoded(self, chunk: tuple[str, list[Record]]) -> list[tuple[batch.Table, pa.Table]]:
        """What a chunk adds to each table."""
        kind, records = chunk
        if kind == "METRICS":
            return [(batch.METRICS, to_rows.metrics(records))]
        if kind == "TRACES":
            found = [(batch.SPANS, batch.together(to_rows.spans(records)))]
        else:
            found = [(batch.LOGS, batch.together(to_rows.logs(records)))]
        if events := self._run_events(records):
            found.append((batch.RUN_EVENTS, batch.run_events(events)))
        return found

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

    def _new_requests(self, records: Sequence[Record], before: Mapping[bytes, int]) -> dict[int, bytes]:
        """Offset → hash of the requests that are not byte for byte one of the recent ones, or of those ``before``."""
        seen: dict[bytes, int] = {}
        for record in records:
            identity = blake2b(record.payload, digest_size=16, salt=bytes((record.signal,))).digest()
            if identity not in self._recent and identity not in before:
                seen.setdefault(identity, record.offset)
        return {offset: identity for identity, offset in seen.items()}

    def _remember(self, cursor: duckdb.DuckDBPyConnection, identities: Mapping[bytes, int]) -> list[bytes]:
        """Stores hashes; returns those that are now too old to be kept in mind."""
        hashes = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(identities, pa.binary(16)))
        offsets = pa.array(identities.values(), pa.uint64())
        batch.run(cursor, _SQL["remember_requests"], pa.table({"hash": hashes, "offset": offsets}))
        excess = len(self._recent) + len(identities) - _RECENT_REQUESTS
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


def _insert(cursor: duckdb.DuckDBPyConnection, table: batch.Table, rows: pa.Table) -> None:
    rows = _new(cursor, table, rows)
    if rows.num_rows:
        batch.run(cursor, _SQL["append"].format(table=table.name), rows)


def _new(cursor: duckdb.DuckDBPyConnection, table: batch.Table, rows: pa.Table) -> pa.Table:
    """The rows whose keys are not stored yet. Those without an identity are: what was sent again was left out as a request."""
    stretches = batch.stretches(rows, table) if table.keys else []
    if not stretches:
        return rows
    words = {"table": table.name, "keys": ", ".join(table.keys), "time": table.time}
    known = [_SQL["known"].format(**words, first_ns=first, last_ns=last) for first, last in stretches]
    query = _SQL["not_stored"].format(**words, known="\nUNION ALL\n".join(known))
    keys = rows.select(table.keys).append_column("row", pa.arange(0, rows.num_rows))
    new = batch.run(cursor, query, keys).column("row")
    return rows if len(new) == rows.num_rows else rows.take(new.take(pc.sort_indices(new)))


def _one(result: duckdb.DuckDBPyConnection) -> Any:
    row = result.fetchone()
    if row is None:
        raise StoreError(
            "cannot read telemetry.duckdb: the table progress is empty; move the file away, the journal fills a new one"
        )
    return row[0]
