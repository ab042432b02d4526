"""Every MUST and SHOULD of the OTLP specification (opentelemetry-proto 1.11) has a row, and every row a test that runs.

A row that is `not ours` says why; one that rota keeps `ours otherwise` says what it does instead. What a row's test finds out
is for `make test`: it runs every test that this module lets through, and fails when one is skipped.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("otlp_requirements.csv")
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT"}
AWAY = {"skip", "skipif", "xfail", "soak"}
REASONS = ("not ours: ", "ours otherwise: ")


def rows() -> list[dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def named(row: dict[str, str]) -> str:
    return f"{row['section']}: {row['words']}"


WITH_TEST = [row for row in rows() if row["test"]]


@pytest.mark.parametrize("row", WITH_TEST, ids=named)
def test_a_row_has_a_test_that_runs(row):
    """The test that a row names is there, and no mark keeps it from running in `make test`."""
    path, _, name = row["test"].partition("::")
    module = ast.parse((TOP / path).read_text(encoding="utf-8"))
    found = [each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name]
    assert len(found) == 1, f"{row['test']} is not there"
    assert not {mark for decorator in found[0].decorator_list for mark in _marks(decorator)} & AWAY
    assert not set(_marks_of_module(module)) & AWAY


def test_a_row_without_a_test_says_why():
    """What is not rota's to keep, or kept in another way, has its reason."""
    silent = [named(row) for row in rows() if not row["test"] and not row["note"].startswith(REASONS)]
    assert silent == []


def test_a_row_is_one_requirement():
    """Levels are those of the specification, each requirement has one row, and both sides of the wire are there."""
    found = rows()
    assert {row["level"] for row in found} <= LEVELS
    assert len({(row["section"], row["level"], row["who"], row["words"]) for row in found}) == len(found)
    assert {row["who"] for row in found} == {"server", "client", "both"}
    assert all(all(row[name] for name in ("section", "level", "who", "words")) for row in found)


def test_what_a_server_must_do_is_tested():
    """Of the requirements on servers, those that have no test are few, and none is kept otherwise."""
    without = [row for row in rows() if row["who"] == "server" and not row["test"]]
    assert all(row["note"].startswith("not ours: ") for row in without)
    assert len(without) < 10


def _marks(decorator: ast.expr) -> Iterator[str]:
    """``soak`` of ``@pytest.mark.soak``, with or without a call."""
    return (node.attr for node in ast.walk(decorator) if isinstance(node, ast.Attribute))


def _marks_of_module(module: ast.Module) -> Iterator[str]:
    for each in module.body:
        if isinstance(each, ast.Assign) and any(isinstance(name, ast.Name) and name.id == "pytestmark" for name in each.targets):
            yield from _marks(each.value)
