"""SQL on telemetry."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rota_collector.api import access, models, shape
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores


def router(stores: Stores) -> APIRouter:
    """``/api/v1/sql``."""
    router = APIRouter(prefix="/api/v1/sql", tags=["sql"])

    @router.post("", response_model=models.Rows, dependencies=[access.read])
    def run_sql(query: models.Query) -> Response:
        """One SELECT on telemetry, with limits of time, rows and memory."""
        found = stores.telemetry.sql(query.query)
        return answer(shape.rows(found.columns, found.rows, found.truncated))

    return router
