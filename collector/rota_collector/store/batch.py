"""A batch of rows on its way into a DuckDB table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from rota.rules.fold import RunEvent, state_key
from rota_collector.decode.to_rows import uuid_of

_HOUR_NS = 3_600 * 10**9
_MOST_STRETCHES = 50
_PART_BYTES = 64 << 20


class Table(NamedTuple):
    """A table, the column that tells time, and the columns that tell a row from another; none: rows have no identity."""

    name: str
    time: str
    keys: tuple[str, ...] = ()


SPANS = Table("spans", "started_at", ("trace_id", "span_id"))
LOGS = Table("logs", "logged_at", ("event_id",))
METRICS = Table("metrics", "measured_at")
RUN_EVENTS = Table("run_events", "happened_at", ("event_id",))
TABLES = (SPANS, LOGS, METRICS, RUN_EVENTS)

_RUN_EVENTS = pa.schema(
    [
        ("event_id", pa.uuid()),
        ("run_id", pa.uuid()),
        ("workflow", pa.string()),
        ("state", pa.string()),
        ("happened_at", pa.timestamp("ns")),
        ("attempt", pa.int32()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("raw_state", pa.string()),
        ("started_at", pa.timestamp("ns")),
        ("slot_at", pa.timestamp("ns")),
        ("exit_code", pa.int32()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
        ("error_stack", pa.string()),
        ("host", pa.string()),
        ("trace_id", pa.uuid()),
        ("span_id", pa.uint64()),
        ("parent_run_id", pa.uuid()),
        ("tags", pa.list_(pa.string())),
        ("state_key", pa.string()),
    ]
)


def run(cursor: duckdb.DuckDBPyConnection, query: str, rows: pa.Table) -> pa.Table:
    """What a query tells in which ``batch`` means these rows."""
    cursor.register("batch", rows)
    try:
        return cursor.execute(query).to_arrow_table()
    finally:
        cursor.unregister("batch")


def run_events(events: Sequence[RunEvent]) -> pa.Table:
    """Rows of the table ``run_events``."""
    names = {"happened_at": "at_ns", "started_at": "started_ns", "slot_at": "slot_ns"}
    columns = []
    for field in _RUN_EVENTS:
        if field.name == "state_key":
            values = [state_key(event) for event in events]
        else:
            values = [getattr(event, names.get(field.name, field.name)) for event in events]
        columns.append(_column(values, field))
    return pa.table(columns, schema=_RUN_EVENTS)


def _column(values: Sequence[object], field: pa.Field) -> pa.Array:
    if field.name == "span_id":
        return pa.array([None if value is None else int(str(value), 16) for value in values], field.type)
    if field.type == pa.uuid():
        ids = [None if value is None else uuid_of(str(value)).bytes for value in values]
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(ids, pa.binary(16)))
    return pa.array(values, field.type)


def parts(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in parts that are not much larger than they look once what they share is written out in each of them."""
    size = rows.nbytes + sum(_written_out(column) for column in rows.columns if pa.types.is_dictionary(column.type))
    length = max(1, rows.num_rows * _PART_BYTES // max(size, _PART_BYTES))
    return (rows.slice(start, length) for start in range(0, rows.num_rows, length))


def _written_out(column: pa.ChunkedArray) -> int:
    sizes = ((chunk.indices, pc.binary_length(chunk.dictionary.storage)) for chunk in column.chunks)
    return sum(pc.sum(length.take(indices).cast(pa.int64())).as_py() or 0 for indices, length in sizes)


def together(rows: pa.Table) -> pa.Table:
    """The rows of each chunk with those of a trace side by side: its id is then stored once, and a run is read in one piece."""
    chunks = []
    for number in range(rows.column(0).num_chunks):
        columns = [column.chunk(number) for column in rows.columns]
        traces = rows.schema.get_field_index("trace_id")
        order = pc.sort_indices(columns[traces].storage)
        chunks.append(pa.table([column.take(order) for column in columns], schema=rows.schema))
    return pa.concat_tables(chunks) if chunks else rows


def firsts(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows without those whose key came earlier in the same batch. A row without a key is no repetition."""
    if not keys or rows.num_rows < 2:
        return rows
    columns = {key: _plain(rows.column(key)) for key in keys} | {"row": pa.arange(0, rows.num_rows)}
    keyed = pa.table(columns)
    nameless = keyed.filter(pc.is_null(keyed.column(keys[0]))).column("row")
    firsts_of = (
        keyed.filter(pc.is_valid(keyed.column(keys[0]))).group_by(list(keys)).aggregate([("row", "min")]).column("row_min")
    )
    if len(nameless) + len(firsts_of) == rows.num_rows:
        return rows
    kept = pa.chunked_array([*nameless.chunks, *firsts_of.chunks], pa.int64())
    return rows.take(kept.take(pc.sort_indices(kept)))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type != pa.uuid():
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], pa.binary(16))


def stretches(rows: pa.Table, table: Table) -> list[tuple[int, int]]:
    """The stretches of time, in ns, that the rows with a key lie in: few and short, so that little has to be read.

    Late rows get hours of their own. When they are scattered over very many, days are taken, and so on.
    """
    times = rows.column(table.time).filter(pc.is_valid(rows.column(table.keys[0]))).cast(pa.int64())
    if not len(times):
        return []
    unit = _HOUR_NS
    while True:
        units = sorted(pc.unique(pc.divide(times, unit)).to_pylist())
        if len(units) <= _MOST_STRETCHES:
            break
        unit *= 24
    bounds = pc.min_max(times).as_py()
    return [(max(first * unit, bounds["min"]), min(last * unit + unit - 1, bounds["max"])) for first, last in _neighbours(units)]


def _neighbours(numbers: list[int]) -> list[tuple[int, int]]:
    """Runs of successive numbers as (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
