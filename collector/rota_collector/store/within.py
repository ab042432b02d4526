"""What a key may read, as a condition of SQL: it narrows a list before it is cut into pages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_

from rota_collector.domain.reach import Reach
from rota_collector.store.dialect import matches


def within(query: Select[Any], reach: Reach, workflow: ColumnElement[Any]) -> Select[Any]:
    """``query`` with the rows whose ``workflow`` is within reach."""
    return query if reach.is_everything else query.where(is_within(reach, workflow))


def is_within(reach: Reach, workflow: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether ``workflow`` is within reach."""
    return or_(workflow.in_(reach.names), *(matches(workflow, pattern) for pattern in reach.patterns))
