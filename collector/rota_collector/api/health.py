"""Whether somebody is at home, and keeps up."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rota_collector.api import models
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Progress, Stores


def router(stores: Stores) -> APIRouter:
    """``/healthz`` and ``/readyz``."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=models.Health)
    def healthz() -> Response:
        """200 as long as the process answers."""
        return answer({"status": "ok"})

    @router.get("/readyz", response_model=models.Ready, responses={503: {"model": models.Ready}})
    def readyz() -> Response:
        """200 when requests are kept and both stores follow the journal without trouble."""
        both = {"telemetry": stores.telemetry_progress, "control": stores.control_progress}
        lags = {f"{name}_lag_bytes": progress.lag_bytes for name, progress in both.items()}
        troubles = [f"{name}: {_trouble(progress)}" for name, progress in both.items() if _trouble(progress)]
        about = {"skipped_bytes": sum(list(stores.damage.values())), "retention": stores.retention and stores.retention.trouble}
        told = {**lags, **about, "trouble": "; ".join(troubles) or None, "forward": stores.forwarded()}
        return answer(told, 503 if troubles else 200)

    return router


def _trouble(progress: Progress) -> str | None:
    return progress.trouble if progress.is_alive() else "does not follow the journal"
