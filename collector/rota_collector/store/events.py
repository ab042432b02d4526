"""What the collector decided, as the log records that carry it into the journal, and from there into every store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence

from rota.rules import inflight
from rota.rules.fold import Run
from rota.rules.gates import Answer, Decision
from rota.rules.inflight import Facts, Rule
from rota.wire import events, names
from rota_collector import __version__
from rota_collector.domain.admission import Question
from rota_collector.domain.expect import OVERDUE, RunFact
from rota_collector.domain.incident import Transition
from rota_collector.domain.slots import Slot

SOURCE = "collector"  # of run events that are our own conclusions
PERSON = "person"  # of those that somebody said who knows better
_NO_TRACE, _NO_SPAN = "", ""
_MOST_TOLD = 10  # of a list among the facts of a gate
_RESOURCE = events.resource({names.SERVICE_NAME: "rota-collector"})
_SCOPE = events.scope(__version__, {})
# Ids need not be UUIDs: whoever decodes them makes one of any text, and the same one of the same text.


def line(records: list[str]) -> bytes:
    """Records of the kinds below as one OTLP-JSON request."""
    return events.logs_line(_RESOURCE, _SCOPE, records).encode("ascii")


def of_slot(workflow: str, host: str, slot: Slot, at_ns: int) -> str:
    """A verdict. The same one, told again, has the same id."""
    pairs: dict[str, object] = {
        names.EVENT_ID: f"slot/{workflow}/{host}/{slot.due_ns}/{slot.revision}",
        names.WORKFLOW: workflow,
        names.SLOT: slot.due_ns,
        names.SLOT_DEADLINE: slot.deadline_ns,
        names.SLOT_VERDICT: slot.verdict,
        names.SLOT_REVISION: slot.revision,
        names.POLICY_VERSION: slot.version,
    }
    more = {names.INSTANCE_HOST: host or None, names.REASON: slot.reason, names.RUN_ID: slot.run_id}
    return _record(at_ns, names.SLOT_EVENT, pairs, more)


def of_transition(transition: Transition) -> str:
    """What happened to an incident."""
    incident = transition.incident
    pairs: dict[str, object] = {
        names.EVENT_ID: f"incident/{incident.id}/{transition.name}/{transition.at_ns}",
        names.INCIDENT_ID: incident.id,
        names.INCIDENT_KIND: incident.kind,
        names.INCIDENT_TRANSITION: transition.name,
        names.INCIDENT_SUMMARY: incident.summary,
        names.INCIDENT_OPENED: incident.opened_ns,
    }
    more = {
        names.WORKFLOW: incident.workflow or None,
        names.INSTANCE_HOST: incident.host or None,
        names.INCIDENT_GROUP: incident.group_id or incident.suppressed_by,
        names.REASON: incident.reason,
        names.RUN_ID: incident.run_id,
        names.INCIDENT_BY: incident.closed_by or incident.acked_by,
    }
    return _record(transition.at_ns, names.INCIDENT_EVENT, pairs, more)


def _record(at_ns: int, name: str, pairs: dict[str, object], more: Mapping[str, object]) -> str:
    """A log record; of ``more``, what is not None."""
    pairs.update((key, value) for key, value in more.items() if value is not None)
    return events.log_record(at_ns, name, _NO_TRACE, _NO_SPAN, pairs)


def decision_id(question: Question, ticket: str, answer: str, asked_ns: int) -> str:
    """The id of a decision: the same question, answered the same again, has the same one. ``asked_ns``: when it was first asked;
    who asks anew once a grant is over is answered anew.
    """
    name = f"rota:decision/{question.run_id}/{question.attempt}/{question.task or ''}/{ticket}/{asked_ns}/{answer}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def of_decision(
    question: Question, ticket: str, decision: Decision, answers: Sequence[Answer], at_ns: int, asked_ns: int = 0
) -> str:  # fmt: skip
    """What was answered to a question, with what each gate said and the facts that it rests on."""
    pairs: dict[str, object] = {
        names.EVENT_ID: decision_id(question, ticket, decision.answer, asked_ns),
        names.WORKFLOW: question.workflow,
        names.RUN_ID: question.run_id,
        names.ATTEMPT: question.attempt,
        names.GATE_ANSWER: decision.answer,
        names.REASON: decision.reason,
        names.GATE_TICKET: ticket,
        names.SOURCE: SOURCE,
    }
    more = {
        names.TASK_NAME: question.task,
        names.HOST_NAME: question.host,
        names.GATE_NUMBER: decision.number,
        names.GATE_KIND: decision.kind,
    }
    pairs.update((key, value) for key, value in more.items() if value is not None)
    return events.log_record(at_ns, names.DECISION_EVENT, _NO_TRACE, _NO_SPAN, pairs, _told(answers))


def of_act(run: Run, rule: Rule, facts: Facts, at_ns: int) -> str:
    """What a rule did to a run in flight, with the facts of the tasks that it looks at. Once for each rule and run."""
    pairs: dict[str, object] = {
        names.EVENT_ID: f"rule/{run.run_id}/{rule.when}/{rule.action.name}/{rule.action.text}",
        names.WORKFLOW: run.workflow,
        names.RUN_ID: run.run_id,
        names.ATTEMPT: run.attempt,
        names.GATE_ANSWER: rule.action.name,
        names.GATE_NUMBER: rule.number,
        names.GATE_KIND: inflight.KIND,
        names.REASON: rule.reason,
        names.SOURCE: SOURCE,
    }
    if run.host is not None:
        pairs[names.HOST_NAME] = run.host
    said = Answer(rule.number, inflight.KIND, rule.action.name, rule.reason, {"tasks": inflight.looked_at(rule, facts)})
    return events.log_record(at_ns, names.DECISION_EVENT, _NO_TRACE, _NO_SPAN, pairs, _told([said]))


def of_cancel(run: Run, by: str, reason: str, at_ns: int) -> str:
    """A run is to end. How it does, it says itself."""
    pairs: dict[str, object] = {
        names.EVENT_ID: f"cancel/{run.run_id}/{run.attempt}",
        names.WORKFLOW: run.workflow,
        names.HOST_NAME: run.host,
        names.RUN_ID: run.run_id,
        names.STATE: "cancelling",
        names.REASON: reason,
        names.ATTEMPT: run.attempt,
        names.SOURCE: SOURCE,
        names.RUN_STARTED: run.started_ns,
        names.USER_NAME: by,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, _NO_TRACE, _NO_SPAN, pairs)


def _told(answers: Sequence[Answer]) -> str:
    """What gates said, as JSON; without the facts when these are too many to be kept whole."""
    said = [{"gate": each.number, "kind": each.kind, "answer": each.answer, "reason": each.reason} for each in answers]
    with_facts = [{**each, "facts": _some(answer.facts)} for each, answer in zip(said, answers, strict=True)]
    text = json.dumps(with_facts, default=str)
    return text if len(text) <= events.MAX_TEXT else json.dumps(said)


def _some(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts, and of long lists the beginning."""
    return {name: value[:_MOST_TOLD] if isinstance(value, list) else value for name, value in facts.items()}


def of_overdue(workflow: str, host: str, run: RunFact, attempt: int, at_ns: int) -> str:
    """The end of a run of which nothing but its age is known: concluded, so that any evidence outranks it."""
    pairs: dict[str, object] = {
        names.EVENT_ID: f"overdue/{run.run_id}/{attempt}",
        names.WORKFLOW: workflow,
        names.HOST_NAME: host or None,
        names.RUN_ID: run.run_id,
        names.STATE: "timed_out",
        names.REASON: OVERDUE,
        names.ATTEMPT: attempt,
        names.SOURCE: SOURCE,
        names.RUN_STARTED: run.started_ns,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, _NO_TRACE, _NO_SPAN, pairs)


def of_outcome(run: Run, state: str, by: str, why: str, at_ns: int) -> str:
    """How a person says that the present attempt of a run ended."""
    pairs: dict[str, object] = {
        names.EVENT_ID: str(uuid.uuid4()),
        names.WORKFLOW: run.workflow,
        names.HOST_NAME: run.host,
        names.RUN_ID: run.run_id,
        names.STATE: state,
        names.REASON: f"{by}: {why}" if why else f"set by {by}",
        names.ATTEMPT: run.attempt,
        names.SOURCE: PERSON,
        names.RUN_STARTED: run.started_ns,
        names.USER_NAME: by,
    }
    return events.log_record(at_ns, names.RUN_STATE_EVENT, _NO_TRACE, _NO_SPAN, pairs)
