"""``docs/cost.md``: what the two lines cost a script, told for who has to decide whether to add them, from the latest results."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from bench.budgets import BUDGETS
from bench.figures import number

PAGE = Path(__file__).parents[1] / "docs" / "cost.md"
_PEERS = ("OpenTelemetry", "sentry-sdk", "logfire")


class Row(NamedTuple):
    """One line of the page: in which measurement, under which name rota's figure and its peers' stand there."""

    what: str
    measurement: str
    ours: str
    theirs: str = ""


_START = "Start and end, delivered"
_ROWS = (
    Row(f"{_START} to a collector on this machine", "startup", "delivered to a collector", "delivered to an empty server"),
    Row(f"{_START} to an agent on this machine", "startup", "delivered to an agent", "delivered to an empty server"),
    Row("The collector is not running", "exits", "collector closed", "collector closed"),
    Row("It takes the connection and never answers", "exits", "collector silent", "collector silent"),
    Row("Its name cannot be looked up", "exits", "dead name lookup"),
    Row("A firewall drops every packet to it", "exits", "SYN dropped"),
    Row("It is behind TLS", "exits", "collector behind TLS"),
    Row("Resident memory", "memory", "resident memory", "resident memory"),
    Row("A function decorated with `@rota.task`, each call", "task_span", "task span", "task span"),
    Row("An observed call of a library, over its span", "calls", "call over its span"),
    Row("A million tasks: one of them, p99", "million", "a task, p99, collector closed"),
    Row("… while an agent ships them", "million", "a task, p99, followed by an agent"),
    Row("… memory added after the first tenth", "million", "memory from the first tenth to the end, followed by an agent"),
)  # fmt: skip

_OPENS, _CLOSES = "<!-- measured: written by `make bench`, do not edit -->\n\n", "\n\n<!-- /measured -->"


def renew(folder: Path) -> str:
    """The page as it stands, with its table made anew from the JSON files of a folder of results."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_OPENS)
    _, _, after = rest.partition(_CLOSES)
    return before + _OPENS + "\n".join(table(folder)) + _CLOSES + after


def table(folder: Path) -> list[str]:
    """Its lines: what was measured, and on what."""
    results = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))}
    rows = [cells for row in _ROWS if (cells := _cells(row, results))]
    heads = ("", "rota", "goal", *_PEERS)
    lines = [heads, ("---", *["---:"] * (len(heads) - 1)), *rows]
    return [*("| " + " | ".join(cells) + " |" for cells in lines), "", _taken(results)]


def _cells(row: Row, results: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a row; none when it was not measured."""
    figures = results.get(row.measurement, {}).get("figures", [])
    ours = [figure for figure in figures if figure["name"] == row.ours and figure["who"] == "rota"]
    if not ours:
        return ()
    peers = {figure["who"]: _shown(figure) for figure in figures if figure["name"] == row.theirs and row.theirs}
    budget = BUDGETS[ours[0]["budget"]].goal if ours[0]["budget"] else ""
    return (row.what, f"**{_shown(ours[0])}**", budget, *(peers.get(peer, "") for peer in _PEERS))


def _shown(figure: dict[str, Any]) -> str:
    return f"{number(figure['compared']['median'], '+')} {figure['unit']}"


def _machine(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, {machine['python']}"


def _taken(results: dict[str, Any]) -> str:
    used = [results[name] for name in {row.measurement for row in _ROWS} if name in results]
    days, machines = (sorted({pick(found) for found in used}) for pick in (lambda found: found["taken_at"], _machine))
    bare = next((f["base"] for f in results.get("startup", {}).get("figures", ()) if f["who"] == "rota"), ())
    start = f" An empty script takes {number(statistics.median(bare))} ms there." if bare else ""
    return f"Measured {', '.join(days)} on {'; '.join(machines)}.{start}"
