"""kill -9 at every write, sync, rename, cut and unlink while files of an earlier version are brought up to date.

The next start finishes it, and the file is the one that an undisturbed start makes of it: tables, indexes and rows. A seeded
sample in `make test` (`ROTA_SEED` chooses another), every call in `make soak`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from chaos.faults import HAS_STRACE, KILL, Fault, Watch, command, counted
from chaos.kept import Kept
from collectors import clean_environment, until

pytestmark = pytest.mark.skipif(not HAS_STRACE, reason="needs strace: apt-get install strace")
SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE = 12  # kills of each store
SCHEMAS = Path(__file__).parents[1] / "unit" / "collector" / "schemas"
NAMES = {"telemetry": "telemetry.duckdb", "control": "control.sqlite"}
STORES = [(store, schema.stem) for store in NAMES for schema in sorted(SCHEMAS.glob(f"{store}-*.sql"))]
SPANS = """
    INSERT INTO spans BY NAME SELECT uuid() AS trace_id, i AS span_id, 'a span' AS name, 1 AS kind, now() AS started_at,
    0 AS status, '{"rota.calls.count":' || i || '}' AS attributes, 0 AS dropped, 0 AS flags, '{}' AS resource
    FROM range(3000) r(i)
"""


class Opener:
    """Opens stores of homes, undisturbed, written down or killed at a call."""

    def __init__(self, folder: Path) -> None:
        program = [sys.executable, str(Path(__file__).with_name("migration_program.py"))]
        self.log = folder / "strace.log"
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=clean_environment()
        )

    def open(self, home: Path, store: str, watch: Watch | None = None) -> int:
        """The exit status of who opened it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{store} {home / NAMES[store]}\n")
        pid = int(self._process.stdout.readline())
        until(lambda: " (stopped)" in Path(f"/proc/{pid}/status").read_text(), "it to stop")
        strace = None
        if watch is not None:
            strace = subprocess.Popen([*command(home, self.log, watch), "-p", str(pid)])
            until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text(), "strace")
        os.kill(pid, signal.SIGCONT)
        status = int(self._process.stdout.readline())
        if strace is not None:
            strace.wait()
        return status

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


@pytest.fixture
def opener(tmp_path) -> Iterator[Opener]:
    made = Opener(tmp_path)
    yield made
    made.close()


def old(home: Path, store: str, schema: str) -> Path:
    """A home with a file of an earlier version, and something in it."""
    home.mkdir()
    statements = (SCHEMAS / f"{schema}.sql").read_text()
    if store == "telemetry":
        with duckdb.connect(home / NAMES[store]) as connection:
            connection.execute(statements)
            connection.execute(SPANS)
        return home
    with closing(sqlite3.connect(home / NAMES[store], isolation_level=None)) as connection:
        connection.executescript(statements)
        for table in ("runs", "keys", "workflows"):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            for n in range(40):
                values = [n if "INT" in kind.upper() else None if not wanted else f"{n}" for _, _, kind, wanted, *_ in columns]
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    return home


def content(home: Path, store: str) -> Sequence[object]:
    """Everything in a store that nobody has open: what it is made of and what is in it."""
    if store == "telemetry":
        with duckdb.connect(home / NAMES[store], read_only=True) as connection:
            tables = (
                "SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns() WHERE NOT internal"
            )
            rows = "SELECT * EXCLUDE (resource) FROM spans ORDER BY span_id"
            version = "SELECT version FROM schema_version"
            return [connection.execute(query).fetchall() for query in (f"{tables} ORDER BY ALL", rows, version)]
    with closing(sqlite3.connect(home / NAMES[store])) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return sorted(connection.iterdump())


def killed(folder: Path, opener: Opener, store: str, schema: str, tell=lambda _done, _of: None, sample: int = 10**9) -> list[str]:
    """What is wrong after kills at the calls that an undisturbed start makes, of all or a sample of them."""
    before = old(folder / "old", store, schema)
    shutil.copytree(before, fresh := folder / "fresh")
    assert opener.open(fresh, store, Watch(store)) == 0
    points = [
        Fault(store, call, nth) for call, most in sorted(counted(opener.log).items()) for nth in range(1, most + 1)
    ]  # fmt: skip
    assert {point.call for point in points} & {"fsync", "fdatasync"}
    expected, wrong, struck = content(fresh, store), list[str](), 0
    chosen = random.Random(SEED).sample(points, min(sample, len(points)))
    for done, point in enumerate(chosen, 1):
        home = folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(before, home)
        status = opener.open(home, store, Watch(store, (point.call,), f"{point.call}:{KILL}:when={point.nth}"))
        struck += status == -signal.SIGKILL
        if (again := opener.open(home, store)) != 0:
            wrong.append(f"{schema}, {point}: the next start ended with {again}")
        elif content(home, store) != expected:
            wrong.append(f"{schema}, {point}: the file is another one then")
        if bad := list(home.glob("*.bad-*")):
            wrong.append(f"{schema}, {point}: {bad} were set aside")
        tell(done, len(chosen))
    return [*wrong, *([] if struck >= 0.8 * len(chosen) else [f"{schema}: only {struck} kills of {len(chosen)} struck"])]


@pytest.mark.parametrize(("store", "schema"), STORES, ids=str)
def test_a_migration_that_was_killed_is_finished_by_the_next_start(tmp_path, opener, store, schema):
    """Kills at some of its calls."""
    assert killed(tmp_path, opener, store, schema, sample=SAMPLE) == []


@pytest.mark.soak
@pytest.mark.parametrize(("store", "schema"), STORES, ids=str)
def test_a_kill_at_every_call_of_a_migration(tmp_path, opener, store, schema, pytestconfig):
    """All of them."""
    kept, problems = Kept(f"migration-{schema}", pytestconfig), []

    def tell(done: int, of: int) -> None:
        kept.keep({"schema": schema, "kills": done, "problems": problems}, f"migration {schema}: {done} of {of}")

    problems += killed(tmp_path, opener, store, schema, tell)
    assert problems == []
