"""Incidents, and what people do about them."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from rota_collector.api import access, expectation_models, models, shape
from rota_collector.api.access import Asker, Owning, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Acting, Cursor, Lasting, Limit
from rota_collector.api.stores import Stores
from rota_collector.domain.incident import Incident
from rota_collector.domain.reach import Reach
from rota_collector.store.incidents import IncidentFilter


def router(stores: Stores) -> APIRouter:
    """``/api/v1/incidents``."""
    router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
    there = stores.expectations.incidents

    @router.get("", response_model=models.Page[expectation_models.Incident])
    def list_incidents(
        reads: Reads,
        state: Literal["open", "closed"] | None = None,
        workflow: str | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Incidents, the last opened first. `state=open` is all that are not closed: acknowledged and snoozed ones too."""
        now_ns = stores.clock.now_ns()
        found = there.page(IncidentFilter(state, workflow, reads), cursor, limit)
        return answer(shape.page(found, lambda incident: shape.incident_item(incident, now_ns)))

    @router.get("/{incident_id}", response_model=expectation_models.IncidentDetail)
    def get_incident(incident_id: str, reads: Reads) -> Response:
        """One incident with those that it speaks for. The beginning of an id will do, where only one begins so."""
        incident = _find(stores, incident_id, reads)
        members = [each for each in there.members(incident.id) if reads.allows(each.workflow)]
        return answer(shape.incident_detail(incident, members, stores.clock.now_ns()))

    @router.get("/{incident_id}/history", response_model=models.Items[expectation_models.IncidentEvent])
    def list_history(incident_id: str, reads: Reads) -> Response:
        """All that happened to an incident, in order of its time."""
        return answer({"items": stores.telemetry.incident_history(_find(stores, incident_id, reads).id), "next": None})

    @router.post("/{incident_id}/ack", response_model=expectation_models.Incident, dependencies=[access.operate])
    def acknowledge(incident_id: str, asker: Owning, body: Acting | None = None) -> Response:
        """Somebody works on it: no reminders and no escalation any more."""
        incident, now_ns = _find_theirs(stores, incident_id, asker), stores.clock.now_ns()
        return _changed(incident, there.acknowledge(incident.id, _by(asker, body), now_ns), now_ns)

    @router.post("/{incident_id}/snooze", response_model=expectation_models.Incident, dependencies=[access.operate])
    def snooze(incident_id: str, asker: Owning, body: Lasting) -> Response:
        """Nothing is said of it for so many seconds, or until then; if it is open by then, people are reminded."""
        incident, now_ns = _find_theirs(stores, incident_id, asker), stores.clock.now_ns()
        until_ns = body.until_ns(now_ns)
        if until_ns is None:
            raise ApiError(422, "invalid", "neither until nor seconds is given", 'send {"seconds": 3600}')
        return _changed(incident, there.snooze(incident.id, until_ns, now_ns, _by(asker, body)), now_ns)

    @router.post("/{incident_id}/close", response_model=expectation_models.Incident, dependencies=[access.operate])
    def close(incident_id: str, asker: Owning, body: Acting | None = None) -> Response:
        """A person settles it: what went wrong until now does not open it again."""
        incident, now_ns = _find_theirs(stores, incident_id, asker), stores.clock.now_ns()
        return _changed(incident, there.close(incident.id, _by(asker, body), now_ns), now_ns)

    return router


def _find(stores: Stores, incident_id: str, reads: Reach) -> Incident:
    incident = stores.expectations.incidents.get(incident_id, reads)
    if incident is None:
        raise ApiError(404, "not_found", f"no incident {incident_id!r}, or several begin so", "GET /api/v1/incidents lists them")
    return incident


def _find_theirs(stores: Stores, incident_id: str, asker: Asker) -> Incident:
    incident = _find(stores, incident_id, asker.reads)
    asker.must_own(incident.workflow)
    return incident


def _by(asker: Asker, body: Acting | None) -> str:
    return asker.who(body.by if body else None)


def _changed(incident: Incident, after: Incident | None, now_ns: int) -> Response:
    if after is None:
        raise ApiError(409, "closed", f"the incident {incident.id!r} is closed already", "an incident that closed stays so")
    return answer(shape.incident_item(after, now_ns))
