"""What the collector decided, as the log records that carry it into the journal, and from there into every store."""

from __future__ import annotations

import uuid

from rota.wire import events, names
from rota_collector import __version__
from rota_collector.domain.expect import OVERDUE, RunFact
from rota_collector.domain.incident import Transition
from rota_collector.domain.slots import Slot

_NO_TRACE, _NO_SPAN = "", ""
_RESOURCE = events.resource({names.SERVICE_NAME: "rota-collector"})
_SCOPE = events.scope(__version__, {})


def line(records: list[str]) -> bytes:
    """Records of the kinds below as one OTLP-JSON request."""
    return events.logs_line(_RESOURCE, _SCOPE, records).encode("ascii")


def of_slot(workflow: str, host: str, slot: Slot, at_ns: int) -> str:
    """A verdict. The same one, told again, has the same id."""
    identity = f"rota:slot/{workflow}/{host}/{slot.due_ns}/{slot.revision}"
    pairs: dict[str, object] = {
        names.EVENT_ID: _id(identity),
        names.WORKFLOW: workflow,
        names.INSTANCE_HOST: host or None,
        names.SLOT: slot.due_ns,
        names.SLOT_DEADLINE: slot.deadline_ns,
        names.SLOT_VERDICT: slot.verdict,
        names.REASON: slot.reason,
        names.SLOT_REVISION: slot.revision,
        names.RUN_ID: slot.run_id,
        names.POLICY_VERSION: slot.version,
    }
    return events.log_record(at_ns, names.SLOT_EVENT, _NO_TRACE, _NO_SPAN, pairs)


def of_transition(transition: Transition) -> str:
    """What happened to an incident."""
    incident = transition.incident
    pairs: dict[str, object] = {
        names.EVENT_ID: _id(f"rota:incident/{incident.id}/{transition.name}/{transition.at_ns}"),
        names.INCIDENT_ID: incident.id,
        names.INCIDENT_KIND: incident.kind,
        names.INCIDENT_TRANSITION: transition.name,
        names.WORKFLOW: incident.workflow or None,
        names.INSTANCE_HOST: incident.host or None,
        names.INCIDENT_SUMMARY: incident.summary,
        names.INCIDENT_OPENED: incident.opened_ns,
        names.INCIDENT_GROUP: incident.group_id or incident.suppressed_by,
        names.REASON: incident.reason,
        names.RUN_ID: incident.run_id,
        names.INCIDENT_BY: incident.closed_by or incident.acked_by,
    }
    return events.log_record(transition.at_ns, names.INCIDENT_EVENT, _NO_TRACE, _NO_SPAN, pairs)


def of_overdue(workflow: str, host: str, run: RunFact, attempt: int, at_ns: int) -> str:
    """The end of a run of which nothing but its age is known: concluded, so that any evidence outranks it."""
    pairs: dict[str, object] = {
        names.EVENT_ID: _id(f"rota:overdue/{run.run_id}/{attempt}"),
        names.WORKFLOW: workflow,
        names.HOST_NAME: host or None,
        names.RUN_ID: run.run_id,
        names.STATE: "timed_out",
        names.REASON: OVERDUE,
        names.ATTEMPT: attempt,
        names.SOURCE: "collector",
        names.RUN_STARTED: run.started_ns,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, _NO_TRACE, _NO_SPAN, pairs)


def _id(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))
