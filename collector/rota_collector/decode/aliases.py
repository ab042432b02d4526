"""How other systems say what ours say: the table ``aliases.toml``, checked when it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from rota.rules.fold import STATES
from rota.wire import ids

SPAN_NAME = "name"  # in place of an attribute


class RunSpan(NamedTuple):
    """Which spans tell how a run is, and how they do. See the head of ``aliases.toml``."""

    name: str = ""
    root: bool = False
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    values: Mapping[str, str] = {}
    state: str | None = None
    told: tuple[str, ...] = ()
    started: str | None = None
    tags: str | None = None


class System(NamedTuple):
    """One system, as its spans are to be read."""

    source: str
    scopes: tuple[str, ...]
    run_id: tuple[str, ...]
    workflow: tuple[str, ...]
    task: str | None
    only: Mapping[str, str]
    runs: tuple[RunSpan, ...]
    states: Mapping[str, str]

    def identity(self, values: list[str]) -> str:
        """The text that the run's UUID is made from, of the values of ``run_id``, missing ones empty."""
        return ids.identity(self.source, tuple(values))


def _system(source: str, table: Mapping[str, Any]) -> System:
    states = dict(table.get("states", {}))
    runs = tuple(_run_span(entry) for entry in table["run"])
    unknown = ({each.state for each in runs if each.state} | set(states.values())) - set(STATES)
    if unknown:
        raise ValueError(f"aliases.toml: [{source}] names states that there are not: {', '.join(sorted(unknown))}")
    return System(
        source.partition("-")[0], tuple(table["scopes"]), tuple(table["run_id"]), tuple(table["workflow"]),
        table.get("task"), table.get("only", {}), runs, states,
    )  # fmt: skip


def _run_span(entry: Mapping[str, Any]) -> RunSpan:
    """Raises TypeError for a key that there is not."""
    given: dict[str, Any] = {
        "values" if key == "is" else key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    return RunSpan(**given)


def _read() -> tuple[System, ...]:
    tables = tomllib.loads(files("rota_collector.decode").joinpath("aliases.toml").read_text("utf-8"))
    return tuple(_system(source, table) for source, table in tables.items())


SYSTEMS = _read()
