"""Results as people read them: a table on stdout, one JSON file a measurement, and the page ``bench/results/README.md``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.budgets import BUDGETS
from bench.figures import Figure, number

RESULTS = Path(__file__).parent / "results"
_HEADINGS = ("what", "who", "median (min–max)", "compared", "with", "goal", "met", "note")
_MET = {True: "yes", False: "**no**", None: ""}


def save(name: str, figures: Sequence[Figure], taken: dict[str, Any], folder: Path = RESULTS) -> None:
    """Write ``<name>.json``. ``taken``: when, how thoroughly, and on what."""
    folder.mkdir(exist_ok=True)
    found = {"measurement": name, **taken, "figures": [figure.as_json() for figure in figures]}
    (folder / f"{name}.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def table(figures: Iterable[Figure]) -> str:
    """For a terminal: columns aligned by blanks."""
    rows = [_HEADINGS, *(_row(figure) for figure in figures)]
    rows = [tuple(cell.replace("*", "") for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def page(folder: Path = RESULTS) -> str:
    """The whole README of a folder of results, made from its JSON files."""
    results = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*.json"))
        if not file.name.startswith("chaos-")
    ]
    parts = ["# How much rota costs", _about(results), "## Where each goal stands", _goals(results)]
    for result in results:
        parts += [f"## {result['measurement'].replace('_', ' ')}", _taken(result), _markdown(_read(result))]
    return "\n\n".join(parts) + "\n"


def _about(results: Sequence[dict[str, Any]]) -> str:
    return (
        "Made by `make bench`; do not edit. Contestants take turns (A B A B …); values are medians with the lowest and highest, "
        "and each comparison is the median of what the pairs of one round say. "
        + ("" if results else "Nothing was measured yet.")
    ).strip()


def _goals(results: Sequence[dict[str, Any]]) -> str:
    judged = {
        figure["budget"]: figure | {"is_hint": result["effort"] < 1}
        for result in results
        for figure in result["figures"]
        if figure["budget"]
    }
    rows = []
    for name, budget in BUDGETS.items():
        figure = judged.get(name)
        hint = " (short pass)" if figure and figure["is_hint"] else ""
        measured = f"{number(figure['judged'])} {budget.unit}{hint}" if figure else "not measured yet"
        rows.append((budget.what, budget.goal, measured, _MET[figure["is_met"]] if figure else ""))
    return _lines(("what", "goal", "measured", "met"), rows)


def _taken(result: dict[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    effort = "" if result["effort"] >= 1 else f" A short pass (effort {result['effort']}): a hint, no result."
    return (
        f"{result['taken_at']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['kernel']}, "
        f"{machine['python']}, fdatasync {machine['fdatasync_ms']} ms, load before {machine['load_before']}; {versions}.{effort}"
    )


def _read(result: dict[str, Any]) -> list[Figure]:
    names = Figure.__dataclass_fields__
    return [Figure(**{key: _frozen(value) for key, value in figure.items() if key in names}) for figure in result["figures"]]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _markdown(figures: Iterable[Figure]) -> str:
    return _lines(_HEADINGS, map(_row, figures))


def _lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows))


def _row(figure: Figure) -> tuple[str, ...]:
    goal = BUDGETS[figure.budget].goal if figure.budget else ""
    plain = f"{figure.spread.shown()} {figure.unit}"
    return (figure.name, figure.who, plain, figure.comparison(), figure.versus, goal, _MET[figure.is_met], figure.note)
