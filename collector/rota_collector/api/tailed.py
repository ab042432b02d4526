"""What a stretch of the journal tells, as the items of the API, in a fixed order: runs that changed, log records, spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rota_collector.api import shape
from rota_collector.api.parameters import name_or_pattern
from rota_collector.api.stores import Stores
from rota_collector.decode import to_rows
from rota_collector.journal import Record

KINDS = frozenset(("runs", "logs", "spans"))
_REMEMBERED = 20_000
_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS = ("unset", "ok", "error")


class Wanted(NamedTuple):
    """Which events; None: any."""

    workflow: str | None = None  # a name, or a pattern with * and ?
    run_id: str | None = None
    kinds: frozenset[str] = KINDS
    text: str | None = None  # in a log record or a span, whatever its case
    severity: int = 0  # of log records

    def is_of(self, workflow: str | None) -> bool:
        """Whether events of a workflow are wanted."""
        name, pattern = name_or_pattern(self.workflow)
        if pattern is not None:
            return workflow is not None and fnmatchcase(workflow, pattern.replace("[", "[[]"))
        return name is None or workflow == name


class Event(NamedTuple):
    """``row``: its place among all events of the stretch, wanted or not."""

    row: int
    kind: str
    item: dict[str, Any]


class Seen:
    """Which log records and spans were shown lately: a sender that was not answered sends again."""

    def __init__(self) -> None:
        self._keys: dict[Any, None] = {}

    def is_new(self, key: Any) -> bool:
        """Whether it was not; from now on it was."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > _REMEMBERED:
            del self._keys[next(iter(self._keys))]
        return True


def events(stores: Stores, wanted: Wanted, seen: Seen, records: Sequence[Record]) -> Iterator[Event]:
    """What is wanted of ``records``, which the stores have applied."""
    told = [record for record in records if record.signal.name.startswith("LOGS")]
    changed = list(dict.fromkeys((event.run_id, event.workflow) for event in to_rows.run_events(told)))
    if "runs" in wanted.kinds:
        yield from _runs(stores, wanted, changed)
    logs = to_rows.logs(told)
    if "logs" in wanted.kinds:
        yield from _rows(wanted, seen, logs, len(changed), "log")
    if "spans" in wanted.kinds:
        spans = to_rows.spans([record for record in records if record.signal.name.startswith("TRACES")])
        yield from _rows(wanted, seen, spans, len(changed) + logs.num_rows, "span")


def _runs(stores: Stores, wanted: Wanted, changed: Sequence[tuple[str, str]]) -> Iterator[Event]:
    for row, (run_id, workflow) in enumerate(changed):
        if wanted.is_of(workflow) and wanted.run_id in (None, run_id) and (run := stores.control.run(run_id)) is not None:
            (run,) = stores.with_slots([run])
            yield Event(row, "run", shape.run_item(run))


def _rows(wanted: Wanted, seen: Seen, table: pa.Table, first: int, kind: str) -> Iterator[Event]:
    """The rows that are wanted: those of other workflows and runs never become objects."""
    numbered = table.append_column("row", pa.array(range(first, first + table.num_rows), pa.int64()))
    names = [each for each in pc.unique(table.column("workflow")).to_pylist() if wanted.is_of(each)]
    numbered = numbered.filter(pc.is_in(table.column("workflow"), pa.array(names, pa.string())))
    if wanted.run_id is not None:
        ids = pa.array([each.as_py() == to_rows.uuid_of(wanted.run_id) for each in numbered.column("run_id")], pa.bool_())
        numbered = numbered.filter(ids)
    alike: Counter[Any] = Counter()
    for batch in numbered.to_batches(max_chunksize=500):
        for row in _plain(batch):
            if seen.is_new(_key(row, kind, alike)) and _says(row, wanted, kind):
                yield Event(row["row"], kind, _span(row) if kind == "span" else _log(row))


def _key(row: dict[str, Any], kind: str, alike: Counter[Any]) -> Any:
    """What a span or a log record is known by when it is sent again; without an id, which of those that are alike it is."""
    if kind == "span":
        return row["trace_id"], row["span_id"]
    if row["event_id"]:
        return row["event_id"]
    said = (row["at"], row["span_id"], row["body"])
    alike[said] += 1
    return (*said, alike[said])


def _plain(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows with times as numbers: a datetime has no nanoseconds."""
    time = "started_at" if "started_at" in batch.schema.names else "logged_at"
    times = batch.column(time).cast(pa.int64()).to_pylist()
    rest = batch.drop_columns([time])
    return [{**row, "at": at} for row, at in zip(rest.to_pylist(), times, strict=True)]


def _says(row: dict[str, Any], wanted: Wanted, kind: str) -> bool:
    if kind == "log" and row["severity"] < wanted.severity:
        return False
    said = (row["body"], row["attributes"]) if kind == "log" else (row["name"], row["status_message"], row["attributes"])
    return wanted.text is None or any(wanted.text.lower() in (each or "").lower() for each in said)


def _log(row: dict[str, Any]) -> dict[str, Any]:
    severity = row["severity_text"] or (_LEVELS[(row["severity"] + 3) // 4 - 1] if 0 < row["severity"] <= 24 else None)
    return {
        "at": shape.iso(row["at"]),
        "severity": severity,
        "event_name": row["event_name"],
        "body": row["body"],
        **_common(row),
    }


def _span(row: dict[str, Any]) -> dict[str, Any]:
    took = row["duration_ns"]
    return {
        "started_at": shape.iso(row["at"]),
        "ended_at": None if took is None else shape.iso(row["at"] + took),
        "duration_seconds": None if took is None else took / 1e9,
        "name": row["name"],
        "kind": _word(_SPAN_KINDS, row["kind"]),
        "status": _word(_STATUS, row["status"]),
        "status_message": row["status_message"],
        "scope": row["scope"],
        "parent_span_id": _hex(row["parent_span_id"]),
        **_common(row),
    }


def _common(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "attributes": msgspec.json.decode(row["attributes"] or "{}"),
        "trace_id": row["trace_id"].hex if row["trace_id"] else None,
        "span_id": _hex(row["span_id"]),
        "run_id": str(row["run_id"]) if row["run_id"] else None,
        "workflow": row["workflow"],
        "service": row["service"],
        "host": row["host"],
    }


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:016x}"


def _word(words: Sequence[str], number: int) -> str | None:
    return words[number] if number < len(words) else None
