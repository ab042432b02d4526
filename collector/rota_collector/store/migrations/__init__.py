"""Steps from the schema of one version to the next: ``STORE/NNNN-what.sql`` leads to version NNNN.

A new file is made with the newest schema. One that an older version of rota made is brought there in one transaction,
before anything else looks at it; one that a newer version made is refused, as nobody here knows what it means.
"""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from rota_collector.errors import StoreNewer


class Step(NamedTuple):
    """SQL statements that lead to ``version``."""

    version: int
    statements: str


def steps(store: str) -> list[Step]:
    """All steps of ``telemetry`` or ``control``, in order."""
    found = (file for file in files(__package__).joinpath(store).iterdir() if file.name.endswith(".sql"))
    return sorted(Step(int(file.name[:4]), file.read_text(encoding="utf-8")) for file in found)


def newest(store: str) -> int:
    """The version of the schema that new files of ``store`` have."""
    return max(step.version for step in steps(store))


def due(store: str, version: int, path: object) -> list[Step]:
    """The steps that a file of this version lacks. Raises StoreNewer when it has more than we know."""
    if version > newest(store):
        raise StoreNewer(
            f"{path} was written by a newer rota: its schema is {version}, and this one knows {newest(store)}. "
            "Install that version again, or restore a backup made before (`rota collector restore`)"
        )
    return [step for step in steps(store) if step.version > version]
