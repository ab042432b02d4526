"""What people read of telemetry: named queries, their rows as the items of the API or as Arrow columns."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from rota_collector.decode import to_rows
from rota_collector.domain.memory import of_query
from rota_collector.store import sandbox, searches
from rota_collector.store.sandbox import Limits, Rows
from rota_collector.store.searches import Search
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOST_SPANS = 100_000  # of one run, as columns
MOST_ITEMS = 10_000
MOST_SQL_COLUMNS = 1_000_000  # rows of an answer as columns
_SEARCH_SECONDS = 10.0
MOST_POINTS = 200  # of one series

Item = dict[str, Any]


class LogFilter(NamedTuple):
    """Which log records of a run."""

    text: str | None = None  # in the body or the attributes, whatever its case
    severity: int = 0  # this one, as OTLP numbers them, or a worse
    told: bool = False  # without the records that tell of states, verdicts and incidents: those are read elsewhere


EVERY_LOG = LogFilter()


class Attempt(NamedTuple):
    """What is told of one attempt of a run: times are Unix times in ns; ``told_ns`` is that of its last word."""

    attempt: int
    state: str
    reason: str | None
    exit_code: int | None
    started_ns: int | None
    told_ns: int
    error_type: str | None
    error_message: str | None


class Readings:
    """Reading from the database ``root``, which takes ``memory`` bytes at most. Any thread."""

    def __init__(self, root: duckdb.DuckDBPyConnection, memory: int) -> None:
        self._root, self._query_bytes = root, of_query(memory)
        self._readers: deque[duckdb.DuckDBPyConnection] = deque()

    @contextlib.contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one read, that no other thread uses meanwhile."""
        try:
            cursor = self._readers.pop()
        except IndexError:
            cursor = self._root.cursor()
        try:
            yield cursor
        finally:
            self._readers.append(cursor)

    def close_readers(self) -> None:
        """No more reading."""
        while self._readers:
            self._readers.pop().close()

    # -- a run --------------------------------------------------------------------------------------------------------

    def run_spans(self, run_id: str, limit: int = MOST_ITEMS) -> list[Item]:
        """The API's span items of a run: ids hex, times ISO-8601 in UTC with microseconds, attributes a dict."""
        return self._items("run_spans", {"run_id": to_rows.uuid_of(run_id), "span_id": None, "limit": limit})

    def run_span(self, run_id: str, span_id: int) -> Item | None:
        """One span of a run; None: there is none of this id."""
        found = self._items("run_spans", {"run_id": to_rows.uuid_of(run_id), "span_id": span_id, "limit": 1})
        return found[0] if found else None

    def span_columns(self, run_id: str, limit: int = MOST_SPANS) -> pa.Table:
        """Spans of a run, and tasks that have only begun, for drawing; the column ``total`` says how many there are."""
        with self.reader() as cursor:
            return cursor.execute(_SQL["span_columns"], {"run_id": to_rows.uuid_of(run_id), "limit": limit}).to_arrow_table()

    def run_logs(self, run_id: str, filters: LogFilter = EVERY_LOG, limit: int = MOST_ITEMS) -> list[Item]:
        """The API's log items of a run: the last ``limit`` that pass."""
        return self._items("run_logs", {"run_id": to_rows.uuid_of(run_id), "limit": limit, **filters._asdict()})

    def run_tasks(self, run_id: str, limit: int = MOST_ITEMS) -> list[Item]:
        """The API's task items of a run: those that ended, and those that have only begun."""
        return self._items("run_tasks", [to_rows.uuid_of(run_id), limit])

    def run_attempts(self, run_id: str, limit: int = MOST_ITEMS) -> list[Attempt]:
        """The attempts of a run, the first one first."""
        return [Attempt(*row) for row in self._rows("run_attempts", [to_rows.uuid_of(run_id), limit])]

    def run_attributes(self, run_id: str) -> Item:
        """What the states of a run say beside the state: the last word on each name."""
        found: Item = {}
        for resource, attributes in self._rows("run_attributes", [to_rows.uuid_of(run_id)]):
            for text in (attributes, resource):
                found = {**msgspec.json.decode(text), **found}
        return found

    def run_work(self, run_id: str) -> list[Item]:
        """What a run did, by the name of its tasks: how often, how long, how many failed, and the numbers that they recorded."""
        identity = [to_rows.uuid_of(run_id)]
        facts: dict[str, dict[str, float]] = {}
        for name, fact, total in self._rows("run_facts", identity):
            facts.setdefault(name, {})[fact] = total
        return [{**item, "facts": facts.get(item["name"], {})} for item in self._items("run_work", identity)]

    def run_history(self, run_id: str, limit: int = 1000) -> list[Item]:
        """All that was told and decided about a run."""
        return self._items("run_history", {"run_id": to_rows.uuid_of(run_id), "limit": limit})

    def run_decisions(self, run_id: str, limit: int = MOST_ITEMS) -> list[Item]:
        """The API's decision items of a run."""
        return self._items("run_decisions", {"run_id": to_rows.uuid_of(run_id), "limit": limit})

    def run_metrics(self, run_id: str) -> list[Item]:
        """What was measured of a run: series of at most ``MOST_POINTS`` points [Unix ns, value]."""
        series: dict[tuple[str, str | None, str], list[list[float]]] = {}
        found = self._rows("run_metrics", {"run_id": to_rows.uuid_of(run_id), "points": MOST_POINTS})
        for name, unit, attributes, at_ns, value in found:
            if value is not None:
                series.setdefault((name, unit, attributes), []).append([at_ns, value])
        return [
            {"name": name, "unit": unit, "attributes": msgspec.json.decode(attributes), "points": points}
            for (name, unit, attributes), points in series.items()
        ]

    def last_sign(self, run_id: str) -> int:
        """When something was last heard of a run (Unix ns); 0: never."""
        return int(self._rows("last_sign", [to_rows.uuid_of(run_id)])[0][0])

    # -- any runs -----------------------------------------------------------------------------------------------------

    def logs(
        self, search: Search, after: str | None, limit: int, *, severity: int = 0, told: bool = False
    ) -> tuple[pa.Table, str | None]:
        """A page of log records, the last first, and the cursor of the next. ``severity`` and ``told`` as in ``LogFilter``."""
        return self._found("found_logs", "at_ns", search, after, limit, severity=severity, told=told)

    def spans(
        self, search: Search, after: str | None, limit: int, *, failed: bool = False, min_duration_ns: int | None = None
    ) -> tuple[pa.Table, str | None]:
        """A page of spans, the last begun first, and the cursor of the next."""
        return self._found("found_spans", "started_ns", search, after, limit, failed=failed, min_duration_ns=min_duration_ns)

    def _found(
        self, query: str, time: str, search: Search, after: str | None, limit: int, **more: Any
    ) -> tuple[pa.Table, str | None]:
        with self.reader() as cursor, sandbox.limited(cursor, _SEARCH_SECONDS, self._query_bytes):

            def read(given: Mapping[str, Any]) -> pa.Table:
                return cursor.execute(_SQL[query], {**given, **more}).to_arrow_table()

            return searches.page(read, time, search, after, limit)

    # -- others -------------------------------------------------------------------------------------------------------

    def signals(self, run_ids: Sequence[str], since_ns: int) -> Counter[str]:
        """How many signals of each kind these runs reported, the newest of them first; none of them began before ``since_ns``."""
        if not run_ids:
            return Counter()
        ids = [str(to_rows.uuid_of(each)) for each in run_ids]
        given = {"run_ids": ids, "since_ns": since_ns}
        found = Counter(self._items("signals", {**given, "last": ids[0]})[0]) + Counter(self._items("told_signals", given)[0])
        return found + Counter(f"metric {row[0]}" for row in self._rows("measured_signals", given))

    def run_functions(self, run_ids: Sequence[str], since_ns: int) -> list[tuple[str, str]]:
        """(run, the name of a task of it) of these runs, none of which began before ``since_ns``."""
        ids = {str(to_rows.uuid_of(each)): each for each in run_ids}
        found = self._rows("run_functions", {"run_ids": list(ids), "since_ns": since_ns}) if ids else []
        return [(ids[run_id], task) for run_id, task in found]

    def incident_history(self, incident_id: str) -> list[Item]:
        """All that happened to an incident."""
        return self._items("incident_history", [to_rows.uuid_of(incident_id)])

    def sql(self, query: str, *, timeout_seconds: float = 10.0, max_rows: int = 10_000) -> Rows:
        """Runs exactly one SELECT. Raises ``QueryError``."""
        with self.reader() as cursor:
            return sandbox.run(cursor, query, Limits(timeout_seconds, self._query_bytes, max_rows))

    def sql_columns(self, query: str, *, timeout_seconds: float = 10.0, max_rows: int = MOST_SQL_COLUMNS) -> pa.Table:
        """The same as columns. Raises ``QueryError``."""
        with self.reader() as cursor:
            return sandbox.columns(cursor, query, Limits(timeout_seconds, self._query_bytes, max_rows))

    def _rows(self, query: str, given: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
        with self.reader() as cursor:
            return cursor.execute(_SQL[query], given).fetchall()

    def _items(self, query: str, given: Mapping[str, Any] | Sequence[Any]) -> list[Item]:
        with self.reader() as cursor:
            found = cursor.execute(_SQL[query], given)
            columns = [column[0] for column in found.description or ()]
            return [dict(map(_item, columns, row)) for row in found.fetchall()]


def items(table: pa.Table) -> list[Item]:
    """The rows of a table as the API shows them."""
    return [dict(map(_item, row.keys(), row.values())) for row in table.to_pylist()]


def _item(column: str, value: Any) -> tuple[str, Any]:
    """A column of a named query as the API shows it."""
    if column.endswith("_ns") or column == "at_ns":
        return ("at" if column == "at_ns" else f"{column[:-3]}_at"), None if value is None else _iso(value)
    if column == "answers":
        return column, msgspec.json.decode(value) if value else []
    if column in ("attributes", "events"):
        return column, msgspec.json.decode(value) if value else {} if column == "attributes" else []
    return column, value


def _iso(time_ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
