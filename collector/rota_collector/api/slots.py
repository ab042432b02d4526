"""Slots: what should have run, and what became of it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from rota_collector.api import expectation_models, models, shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import answer
from rota_collector.api.parameters import Cursor, Limit, Time, ns
from rota_collector.api.stores import Stores
from rota_collector.store.slots import SlotFilter

Verdict = Literal["on_time", "early", "late", "missed", "skipped", "unknown"]  # domain.slots.VERDICTS, as a test says


def router(stores: Stores) -> APIRouter:
    """``/api/v1/slots``."""
    router = APIRouter(prefix="/api/v1/slots", tags=["slots"])

    @router.get("", response_model=models.Page[expectation_models.Slot])
    def list_slots(
        reads: Reads,
        workflow: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        verdict: Verdict | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Slots, the last due first, the coming ones included; `since` is inclusive, `until` is not."""
        filters = SlotFilter(workflow, ns(since), ns(until), verdict, reads)
        return answer(shape.page(stores.expectations.slots.page(filters, cursor, limit), shape.slot_item))

    return router
