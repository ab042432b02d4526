"""What a run did in all, and what was told of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rota_collector.api import models, permission_models, run_models
from rota_collector.api.access import Reads
from rota_collector.api.envelope import answer
from rota_collector.api.run_parts import items
from rota_collector.api.runs import find
from rota_collector.api.stores import Stores


def router(stores: Stores) -> APIRouter:
    """What is below ``/api/v1/runs/{run_id}`` and sums it up."""
    router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])
    telemetry = stores.telemetry

    @router.get("/work", response_model=models.Items[run_models.Work])
    def list_work(run_id: str, reads: Reads) -> Response:
        """What a run did, by the name of its tasks."""
        return items(telemetry.run_work(find(stores.control, run_id, reads).run_id))

    @router.get("/attributes", response_model=run_models.Attributes)
    def get_attributes(run_id: str, reads: Reads) -> Response:
        """What is known of a run beside its state: of its process, its host, and the facts that it recorded."""
        return answer({"attributes": telemetry.run_attributes(find(stores.control, run_id, reads).run_id)})

    @router.get("/history", response_model=models.Items[run_models.Told])
    def list_history(run_id: str, reads: Reads) -> Response:
        """All that was told and decided about a run, in order of its time: by whom, and why."""
        return items(telemetry.run_history(find(stores.control, run_id, reads).run_id))

    @router.get("/decisions", response_model=models.Items[permission_models.Decision])
    def list_decisions(run_id: str, reads: Reads) -> Response:
        """What gates said to a run and its tasks, and on which facts that rested: why it was let go, held, skipped or denied."""
        return items(telemetry.run_decisions(find(stores.control, run_id, reads).run_id))

    @router.get("/metrics", response_model=models.Items[run_models.Series])
    def list_metrics(run_id: str, reads: Reads) -> Response:
        """What was measured of a run, as series of at most 200 points."""
        return items(telemetry.run_metrics(find(stores.control, run_id, reads).run_id))

    return router
