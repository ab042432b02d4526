"""Files of every earlier schema: brought to the newest one, or left alone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rota_collector.clock import ManualClock
from rota_collector.errors import StoreError, StoreNewer
from rota_collector.store import migrations
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.telemetry import Telemetry

SCHEMAS = Path(__file__).parent / "schemas"
TELEMETRY, CONTROL = sorted(SCHEMAS.glob("telemetry-*.sql")), sorted(SCHEMAS.glob("control-*.sql"))
A_SPAN = """
    INSERT INTO spans BY NAME SELECT uuid() AS trace_id, {id} AS span_id, 'x' AS name, 1 AS kind, now() AS started_at,
    0 AS status, '{attributes}' AS attributes, 0 AS dropped, 0 AS flags, '{{}}' AS resource
"""


def old_telemetry(path: Path, schema: Path, *more: str) -> Path:
    """A file as that version made it."""
    with duckdb.connect(path) as connection:
        for statements in (schema.read_text(), *more):
            connection.execute(statements)
    return path


def old_control(path: Path, schema: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(schema.read_text())
    connection.close()
    return path


def telemetry_tables(path: Path) -> list[Any]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(
            "SELECT table_name, column_index, column_name, data_type, is_nullable, column_default FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY ALL"
        ).fetchall()


def control_tables(path: Path) -> dict[str, Any]:
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
    found: dict[str, Any] = {name: sorted(row[1:] for row in rows) for name, rows in columns.items()}  # in any order
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    found |= {name: re.sub(r"\s+", " ", sql) for name, sql in indexes}
    connection.close()
    return found


def open_telemetry(path: Path) -> None:
    Telemetry.open(path, memory=200_000_000, threads=1).close()


def open_control(path: Path) -> None:
    control = Control(path)
    Alerts(control.engine)
    KeyChanges(control.engine)
    Expectations(control.engine, ManualClock())
    control.close()


@pytest.mark.parametrize("schema", TELEMETRY, ids=lambda path: path.stem)
def test_migrated_telemetry_equals_fresh(schema: Path, tmp_path: Path) -> None:
    """Whatever schema a file began with, its tables and columns are then those of a new one."""
    old = old_telemetry(tmp_path / "old.duckdb", schema)
    open_telemetry(old)
    open_telemetry(tmp_path / "new.duckdb")
    assert telemetry_tables(old) == telemetry_tables(tmp_path / "new.duckdb")


@pytest.mark.parametrize("schema", CONTROL, ids=lambda path: path.stem)
def test_migrated_control_equals_fresh(schema: Path, tmp_path: Path) -> None:
    """Whatever schema a file began with, its tables, columns and indexes are then those of a new one."""
    old = old_control(tmp_path / "old.sqlite", schema)
    open_control(old)
    open_control(tmp_path / "new.sqlite")
    assert control_tables(old) == control_tables(tmp_path / "new.sqlite")


def test_every_version_has_its_fixture() -> None:
    """A step without the schema that it starts from is tested by nobody."""
    for store, schemas in (("telemetry", TELEMETRY), ("control", CONTROL)):
        assert [int(path.stem[-4:]) for path in schemas] == [step.version - 1 for step in migrations.steps(store)]


def test_calls_are_read_from_the_attributes_that_are_there(tmp_path: Path) -> None:
    """A span that was stored before the column was, and stands for many calls, says so; what is no count is none."""
    told = ('{"rota.calls.count":812}', '{"a":1}', '{"rota.calls.count":"many"}', '{"rota.calls.count":-1}')
    spans = [A_SPAN.format(id=number, attributes=text) for number, text in enumerate(told)]
    path = old_telemetry(tmp_path / "old.duckdb", TELEMETRY[0], *spans)
    store = Telemetry.open(path, memory=200_000_000, threads=1)
    assert store.sql("SELECT calls FROM spans ORDER BY span_id").rows == [(812,), (None,), (None,), (None,)]
    store.close()


def newer_telemetry(path: Path) -> None:
    open_telemetry(path)
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 9999")


def newer_control(path: Path) -> None:
    open_control(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = 9999")
    connection.commit()
    connection.close()


def newer_duckdb(path: Path) -> None:
    """The version of the storage format is a number at a fixed place, behind a checksum that DuckDB itself tells us."""
    open_telemetry(path)
    content = bytearray(path.read_bytes())
    content[12:20] = (999).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(duckdb.IOException) as refused:
        duckdb.connect(path)
    checksum = re.search(r"computed checksum (\d+)", str(refused.value))
    assert checksum is not None
    content[:8] = int(checksum[1]).to_bytes(8, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "open_it"), [(newer_telemetry, open_telemetry), (newer_control, open_control), (newer_duckdb, open_telemetry)]
)
def test_a_newer_file_is_refused_and_left_alone(
    make: Callable[[Path], None], open_it: Callable[[Path], None], tmp_path: Path
) -> None:
    """Nobody here knows what is in it: it is not set aside either, and the error says what to do."""
    path = tmp_path / "store"
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreNewer, match=r"newer.*[Ii]nstall that version"):
        open_it(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if "bad" in each.name] == []


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps are one transaction: the old version still opens the file."""
    path = old_telemetry(tmp_path / "old.duckdb", TELEMETRY[0])
    before = telemetry_tables(path)
    broken = [*migrations.steps("telemetry"), migrations.Step(9999, "ALTER TABLE nothing ADD COLUMN x INTEGER")]
    monkeypatch.setattr(migrations, "steps", lambda _store: broken)
    with pytest.raises(StoreError, match="cannot bring"):
        open_telemetry(path)
    assert telemetry_tables(path) == before
