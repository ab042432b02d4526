"""Who may take how much of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rota_collector.config import Config
from rota_collector.domain.memory import of_query, of_store
from rota_collector.errors import ConfigError
from rota_collector.store.telemetry import Telemetry

MB = 10**6


def test_the_store_has_what_the_rest_leaves() -> None:
    """More of more; of too little as much as it cannot do without."""
    assert of_store(1000 * MB) == 280 * MB
    assert of_store(4000 * MB) == 2030 * MB
    assert of_store(300 * MB) == 192 * MB


def test_a_query_leaves_something_to_who_writes() -> None:
    """Of whatever the store has."""
    assert of_query(300 * MB) == 200 * MB


def test_it_is_a_setting() -> None:
    """A size; about a gigabyte when nothing is said."""
    assert Config.read({}).memory == Config.memory == 1000 * MB
    assert Config.read({"ROTA_MEMORY": "4GB"}).memory == 4000 * MB
    with pytest.raises(ConfigError, match="ROTA_MEMORY='much' is no size"):
        Config.read({"ROTA_MEMORY": "much"})


def test_duckdb_is_told(tmp_path: Path) -> None:
    """As bytes."""
    with closing(Telemetry.open(tmp_path / "telemetry.duckdb", memory=256 << 20)) as store:
        assert store._writer.execute("SELECT current_setting('memory_limit')").fetchall() == [("256.0 MiB",)]
