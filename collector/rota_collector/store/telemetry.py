"""Telemetry in DuckDB (being built: this is the public surface)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from rota_collector.journal import Record


class Rows(NamedTuple):
    """The answer to a query: ``rows`` are tuples of Python values in the order of ``columns``."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


class Telemetry:
    @classmethod
    def open(cls, path: Path, *, memory_limit: str = "1GB") -> Telemetry:
        """Opens the database, made beside and renamed when it is not there. Raises ``StoreLocked``, ``StoreError``."""
        raise NotImplementedError

    def offset(self) -> int:
        """The journal offset up to which everything is in the database."""
        raise NotImplementedError

    def apply(self, records: Sequence[Record]) -> None:
        """Keeps records and advances the offset, in one transaction. ``duckdb.FatalException`` passes through."""
        raise NotImplementedError

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own for one read; close it."""
        raise NotImplementedError

    def run_spans(self, run_id: str, limit: int = 10_000) -> list[dict[str, Any]]:
        """The API's span items: ids hex, times ISO-8601 text, attributes a dict."""
        raise NotImplementedError

    def run_logs(self, run_id: str, limit: int = 10_000) -> list[dict[str, Any]]:
        """The API's log items."""
        raise NotImplementedError

    def run_tasks(self, run_id: str, limit: int = 10_000) -> list[dict[str, Any]]:
        """The API's task items."""
        raise NotImplementedError

    def sql(self, query: str, *, timeout_seconds: float = 10.0, max_rows: int = 10_000) -> Rows:
        """Runs exactly one SELECT. Raises ``QueryRefused``, ``QueryFailed``, ``QueryTimeout``."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
