"""What a part of the collector loads: memory and start are spent on imports first."""

from __future__ import annotations

import subprocess
import sys

import pytest

STORES = {"duckdb", "pyarrow", "ptars", "numpy", "pandas"}
API = {"fastapi", "pydantic", "apprise", "sqlalchemy"}


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after importing ``module``."""
    source = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("room", ["decode", "receive.otlp", "receive.grpc", "receive.pings", "__main__"])
def test_who_receives_needs_no_store(room):
    """Checking and keeping a request loads no database, no Arrow and no API: 100 MB that a receiver need not hold."""
    assert loaded_by(f"rota_collector.{room}") & (STORES | API) == set()


def test_who_keeps_needs_no_pandas():
    """Arrow and DuckDB offer it whenever it is installed, which for a dashboard's sake it is: 40 MB for nothing."""
    assert loaded_by("rota_collector.store.telemetry") & {"pandas"} == set()
