"""What became of slots and incidents, and what gates decided, as SQL shows it: `slot_events`, `incident_events`, `decisions`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from otlp_messages import record

from rota.rules.gates import Answer, Decision
from rota.wire import events, names
from rota_collector.domain.admission import Question
from rota_collector.domain.incident import Incident, Transition
from rota_collector.domain.slots import Slot
from rota_collector.errors import StoreError
from rota_collector.journal import Signal
from rota_collector.store import events as ours
from rota_collector.store.telemetry import Telemetry

SECOND = 10**9
T0 = 1_790_000_000 * SECOND
AT = datetime(2026, 9, 21, 14, 13, 20)  # noqa: DTZ001 (TIMESTAMP_NS has no zone; it is UTC)
RUN = "01990000-0000-7000-8000-000000000001"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Telemetry]:
    opened = Telemetry.open(tmp_path / "telemetry.duckdb", memory=200_000_000, threads=1)
    yield opened
    opened.close()


def tell(store: Telemetry, *records: str) -> None:
    store.apply(
        [record(ours.line(list(records)), Signal.LOGS_JSON)._replace(offset=store.offset(), next_offset=store.offset() + 1)]
    )


def rows(store: Telemetry, query: str) -> list[dict[str, object]]:
    found = store.sql(query)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_a_verdict_is_a_row(store: Telemetry) -> None:
    """Typed: times are times, ids are ids, numbers are numbers."""
    slot = Slot(T0, T0 - SECOND, T0 + 60 * SECOND, 3, "late", "the news came late", RUN, T0 + 90 * SECOND, 2)
    tell(store, ours.of_slot("etl.nightly", "box", slot, T0 + 91 * SECOND))
    (row,) = rows(store, "SELECT * FROM slot_events")
    assert isinstance(row.pop("event_id"), uuid.UUID)
    assert row == {
        "happened_at": AT + timedelta(seconds=91), "workflow": "etl.nightly", "host": "box", "due_at": AT,
        "deadline_at": AT + timedelta(seconds=60), "verdict": "late", "reason": "the news came late", "revision": 2,
        "run_id": uuid.UUID(RUN), "policy_version": 3,
    }  # fmt: skip


def test_each_judgement_of_a_slot_is_kept(store: Telemetry) -> None:
    """A verdict that a late fact corrected stands beside the first one; told twice, it is there once."""
    slot = Slot(T0, T0, T0 + SECOND, 1, "missed", None, None, None, 1)
    later = slot._replace(verdict="late", run_id=RUN, revision=2)
    for each in (slot, later, slot):
        tell(store, ours.of_slot("w", "", each, T0))
    found = rows(store, "SELECT verdict, run_id, host, revision FROM slot_events ORDER BY revision")
    assert [(row["verdict"], row["revision"], row["host"]) for row in found] == [("missed", 1, None), ("late", 2, None)]


def test_a_transition_of_an_incident_is_a_row(store: Telemetry) -> None:
    """Typed likewise; who acted is there."""
    identity, group = str(uuid.uuid4()), str(uuid.uuid4())
    incident = Incident(identity, "failed", "w", "box", T0, T0, "the run failed", run_id=RUN, group_id=group, acked_by="ada")
    tell(store, ours.of_transition(Transition("acknowledged", incident, T0 + SECOND)))
    (row,) = rows(store, "SELECT * FROM incident_events")
    assert isinstance(row.pop("event_id"), uuid.UUID)
    assert row == {
        "happened_at": AT + timedelta(seconds=1), "incident_id": uuid.UUID(identity), "kind": "failed", "workflow": "w",
        "host": "box", "transition": "acknowledged", "summary": "the run failed", "opened_at": AT, "run_id": uuid.UUID(RUN),
        "group_id": uuid.UUID(group), "by": "ada",
    }  # fmt: skip


def test_a_decision_is_a_row(store: Telemetry) -> None:
    """With what each gate said as JSON; told twice, it is there once, and its id is the one that the asker was told."""
    question = Question("w", RUN, 2, "load", "box")
    answers = [Answer(0, "concurrency", "wait", "1 of 1 in use", {"used": 1, "started_ns": list(range(99))})]
    decision = Decision("wait", "1 of 1 in use", 0, "concurrency", 5.0)
    told_once = ours.of_decision(question, "a ticket", decision, answers, T0)
    tell(store, told_once)
    tell(store, told_once, told_once)
    (row,) = rows(store, "SELECT * FROM decisions")
    assert str(row.pop("event_id")) == ours.decision_id(question, "a ticket", "wait", 0)
    facts = {"used": 1, "started_ns": list(range(10))}
    told = [{"gate": 0, "kind": "concurrency", "answer": "wait", "reason": "1 of 1 in use", "facts": facts}]
    assert json.loads(str(row.pop("answers"))) == told
    assert row == {
        "happened_at": AT, "run_id": uuid.UUID(RUN), "workflow": "w", "attempt": 2, "task": "load", "answer": "wait",
        "reason": "1 of 1 in use", "gate": 0, "kind": "concurrency", "host": "box", "ticket": "a ticket", "source": "collector",
    }  # fmt: skip


def test_a_decision_with_too_many_facts_is_told_without_them(store: Telemetry) -> None:
    """What gates said is always JSON, and never cut in the middle."""
    answers = [Answer(n, "upstream", "wait", "not yet", {"runs": {f"w{i}": None for i in range(200)}}) for n in range(50)]
    tell(store, ours.of_decision(Question("w", RUN), "t", Decision("wait", "not yet", 0, "upstream"), answers, T0))
    (row,) = rows(store, "SELECT answers FROM decisions")
    told = json.loads(str(row["answers"]))
    assert [set(each) for each in told] == [{"gate", "kind", "answer", "reason"}] * 50


def test_nonsense_by_the_same_name_hides_nothing(store: Telemetry) -> None:
    """Anybody may send a record of that name; what is no number in it is NULL, and the other rows are there."""
    tell(store, ours.of_slot("w", "", Slot(T0, T0, T0, 1, "missed", None, None, None, 1), T0))
    pairs = {names.WORKFLOW: "x", names.SLOT: "soon", names.POLICY_VERSION: 2**62, names.INCIDENT_ID: "no uuid"}
    no_json = events.log_record(T0, names.DECISION_EVENT, "", "", {names.GATE_NUMBER: "one"}, "go!")
    tell(store, no_json, *(events.log_record(T0, name, "", "", pairs) for name in (names.SLOT_EVENT, names.INCIDENT_EVENT)))
    found = rows(store, "SELECT workflow, due_at, policy_version FROM slot_events ORDER BY workflow")
    assert [(row["workflow"], row["due_at"], row["policy_version"]) for row in found] == [("w", AT, 1), ("x", None, None)]
    assert rows(store, "SELECT incident_id FROM incident_events") == [{"incident_id": None}]
    assert rows(store, "SELECT gate, answers FROM decisions") == [{"gate": None, "answers": None}]


def test_an_older_file_gets_the_views_when_it_is_opened(tmp_path: Path) -> None:
    """A database from before the views shows what it keeps; one with another's view of that name gets ours."""
    path = tmp_path / "telemetry.duckdb"
    Telemetry.open(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("DROP VIEW slot_events; CREATE OR REPLACE VIEW incident_events AS SELECT 1 AS n")
    store = Telemetry.open(path)
    tell(store, ours.of_slot("w", "", Slot(T0, T0, T0, 1, "missed", None, None, None, 1), T0))
    assert rows(store, "SELECT verdict FROM slot_events") == [{"verdict": "missed"}]
    assert "transition" in store.sql("SELECT * FROM incident_events").columns
    store.close()


def test_a_file_whose_views_cannot_be_made_says_so(tmp_path: Path) -> None:
    """It is another's database: it is neither used nor moved aside."""
    path = tmp_path / "telemetry.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE slot_events (n INTEGER)")
    with pytest.raises(StoreError, match="cannot bring .* up to date"):
        Telemetry.open(path)
    assert path.exists()
