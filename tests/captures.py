"""Code with rota in it, as users write it, for tests of what is captured of it."""

from __future__ import annotations

import rota


@rota.task
def load(rows: int = 3) -> None:
    rota.record(rows=rows)


@rota.task("check")
def check() -> None:
    raise ValueError("row 7 has no price")


def nightly() -> None:
    """A script as users write them."""
    rota.watch("etl.nightly", schedule="0 2 * * *", tz="Europe/Berlin", grace="15m", max_duration="2h", tags=["finance"])
    with rota.task("extract"):
        load()
    rota.record(day="2026-01-01")
