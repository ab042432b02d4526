"""Decoded tables as plain values, to compare."""

from __future__ import annotations

import json
from typing import Any


def rows(table: Any) -> list[dict[str, Any]]:
    """A table as dicts: JSON parsed, UUIDs as objects, times as ns."""
    names_of_times = [field.name for field in table.schema if str(field.type).startswith("timestamp")]
    for name in names_of_times:
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table.column(name).cast("int64"))
    jsons = [field.name for field in table.schema if "json" in str(field.type)]
    return [row | {name: row[name] and json.loads(row[name]) for name in jsons} for row in table.to_pylist()]


def only(table: Any) -> dict[str, Any]:
    """The only row of a table, so."""
    found = rows(table)
    assert len(found) == 1
    return found[0]
