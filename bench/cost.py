"""``docs/cost.md``: what the two lines cost a script, told for who has to decide whether to add them, from the latest results."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from bench.budgets import BUDGETS
from bench.environments import ORCHESTRATORS
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

_ORCHESTRATORS = tuple(ORCHESTRATORS.values())
_DECIDED = (
    Row("A function, each call, p50", "orchestrated", "a task, p50"),
    Row("… p99", "orchestrated", "a task, p99"),
    Row("… p50, no agent on the host", "orchestrated", "a task, p50, no agent"),
    Row("A process with a run of nothing", "orchestrated", "a run of nothing, gated", "a run of nothing"),
)
_OPENS, _CLOSES = "<!-- {}: written by `make bench`, do not edit -->\n\n", "\n\n<!-- /{} -->"


def renew(folder: Path) -> str:
    """The page as it stands, with its tables made anew from the JSON files of a folder of results."""
    page = PAGE.read_text(encoding="utf-8")
    for name, lines in (("measured", table(folder)), ("decided", decided(folder))):
        opens, closes = _OPENS.format(name), _CLOSES.format(name)
        before, _, rest = page.partition(opens)
        _, _, after = rest.partition(closes)
        page = before + opens + "\n".join(lines) + closes + after
    return page


def table(folder: Path) -> list[str]:
    """The lines of the first one: what was measured, and on what."""
    results = _results(folder)
    rows = [cells for row in _ROWS if (cells := _cells(row, results))]
    return [*_table(("", "rota", "goal", *_PEERS), rows), "", _taken(results)]


def decided(folder: Path) -> list[str]:
    """Those of the second: what is asked before it may run, beside orchestrators."""
    found = _results(folder).get("orchestrated")
    if found is None:
        return ["Not measured yet."]
    everybody = ("rota", *_ORCHESTRATORS)
    rows = [(row.what, *(_median(found["figures"], row, who) for who in everybody)) for row in _DECIDED]
    load = f"Load of the machine before: {found['machine']['load_before']}."
    return [*_table(("", *everybody), rows), "", f"Measured {found['taken_at']} on {_machine(found)}. {load}"]


def _results(folder: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))}


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (heads, ("---", *["---:"] * (len(heads) - 1)), *rows)]


def _median(figures: list[dict[str, Any]], row: Row, who: str) -> str:
    """The plain median of what one of them took."""
    name = row.ours if who == "rota" else row.theirs or row.ours
    found = [figure for figure in figures if (figure["name"], figure["who"]) == (name, who)]
    return f"{number(found[0]['median'])} {found[0]['unit']}" if found else ""


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
