"""SQL on telemetry."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rota_collector.api import access, arrow, models, shape
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores


def router(stores: Stores) -> APIRouter:
    """``/api/v1/sql``."""
    router = APIRouter(prefix="/api/v1/sql", tags=["sql"])

    @router.post("", response_model=models.Rows, responses=arrow.ALSO, dependencies=[access.read])
    def run_sql(query: models.Query, accept: arrow.Accept = "") -> Response:
        """One SELECT on telemetry: 10 s, a share of `ROTA_MEMORY`, 10,000 rows at most, as Arrow a million (if there are more,
        the metadata of the schema say `truncated`).
        """
        if arrow.is_wanted(accept):
            return arrow.answer(stores.telemetry.sql_columns(query.query))
        found = stores.telemetry.sql(query.query)
        return answer(shape.rows(found.columns, found.rows, found.truncated))

    return router
