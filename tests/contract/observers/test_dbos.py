"""DBOS keeps the contract of observers."""

from __future__ import annotations

from observers.contract import scenarios

test_it_is_told_as_the_table_says = scenarios("dbos")
