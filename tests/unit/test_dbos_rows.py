"""Rows of DBOS's tables: what they mean."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from rota.foreign import Source
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.journal import Record, Signal
from rota_integrations.dbos import thrown
from rota_integrations.dbos.telling import Known, Teller, declared, known, slot_ns

RECORDING = Path(__file__).parents[1] / "contract" / "recordings" / "dbos.jsonl"
S = 1000


class Broken(Exception):
    """One of an application's own."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(code, why)
        self.code = code


class Evil:
    """Does something when it is made again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Kept(Source):
    """Keeps what it is to tell."""

    def __init__(self) -> None:
        super().__init__("dbos")
        self.told: list[dict[str, Any]] = []

    def run(self, workflow: str, key: Any, state: str, at_ns: int, **more: Any) -> None:
        self.told.append({"workflow": workflow, "key": key, "state": state, "at_ns": at_ns, **more})


def row(status: str, attempts: int, **more: Any) -> dict[str, Any]:
    """One of ``workflow_status``."""
    empty = dict.fromkeys(
        [
            "class_name",
            "queue_name",
            "executor_id",
            "application_version",
            "started_at_epoch_ms",
            "completed_at",
            "error",
            "serialization",
            "workflow_deadline_epoch_ms",
            "parent_workflow_id",
            "forked_from",
            "schedule_name",
        ]
    )
    about = {"workflow_uuid": "a", "name": "nightly", "created_at": S, "updated_at": 5 * S}
    return {**empty, **about, "status": status, "recovery_attempts": attempts, **more}


def pickled(thing: object) -> str:
    return base64.b64encode(pickle.dumps(thing)).decode()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("row 7"), "ValueError", "row 7"),
        (KeyError(), "KeyError", ""),
        (Broken(7, "no disk"), "Broken", "(7, 'no disk')"),
        (RuntimeError([OSError(2, "no file")]), "RuntimeError", "[FileNotFoundError(2, 'no file')]"),
    ],
)
def test_an_exception_is_known_by_its_name_and_what_it_said(error: Exception, kind: str, message: str) -> None:
    """Also one whose class is not here."""
    said = {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message}
    assert thrown.error(pickled(error), "py_pickle") == said
    assert thrown.error(pickled(error), None) == said


def test_nothing_of_what_was_pickled_is_done(tmp_path: Path) -> None:
    """Whatever stands in the database."""
    text = pickled(Evil(tmp_path / "touched"))
    thrown.error(text, "py_pickle")
    assert not (tmp_path / "touched").exists()
    pickle.loads(base64.b64decode(text))  # as it would be otherwise
    assert (tmp_path / "touched").exists()


def test_an_exception_of_another_language_is_read() -> None:
    """Which DBOS writes as JSON."""
    said = thrown.error(json.dumps({"name": "TypeError", "message": "row 7"}), "portable_json")
    assert (said[names.EXCEPTION_TYPE], said[names.EXCEPTION_MESSAGE]) == ("TypeError", "row 7")


@pytest.mark.parametrize(("text", "how"), [("x", "custom_serializer"), ("no pickle", "py_pickle"), ("[]", "portable_json")])
def test_what_cannot_be_read_is_said_so(text: str, how: str) -> None:
    """A task that failed has failed all the same."""
    assert thrown.error(text, how) == {names.EXCEPTION_MESSAGE: f"written as {how}, which is not read here"}


def test_a_run_is_the_one_that_dbos_s_own_spans_tell() -> None:
    """By the id that both have, in the room as in the collector."""
    records = [Record(0, 1, Signal.TRACES_JSON, 1, line) for line in RECORDING.read_bytes().splitlines()]
    ids = [_id_of(attributes) for line in RECORDING.read_text().splitlines() for attributes in _spans(json.loads(line))]
    assert {event.run_id for event in to_rows.run_events(records)} == {Source("dbos").run_id((each,)) for each in ids}


def test_ids_that_are_no_uuids_can_be_told_from_another_database_s() -> None:
    """``--within``; UUIDs need none, and stay."""
    source = Kept()
    teller = Teller(source, "shop")
    for run_id in ("sched-nightly-1", "01990000-0000-7000-8000-00000000000b"):
        each = row("PENDING", 1, workflow_uuid=run_id)
        teller.run(each, known(each, None), [])
    assert [told["key"] for told in source.told] == [("shop", "sched-nightly-1"), ("01990000-0000-7000-8000-00000000000b",)]


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("DELAYED", {}, "scheduled"),
        ("ENQUEUED", {}, "queued"),
        ("CANCELLED", {"completed_at": 5 * S}, "cancelled"),
        ("CANCELLED", {"completed_at": 5 * S, "workflow_deadline_epoch_ms": 9 * S}, "cancelled"),
        ("CANCELLED", {"completed_at": 5 * S, "workflow_deadline_epoch_ms": 5 * S}, "timed_out"),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", {"completed_at": 5 * S}, "failed"),
        ("DREAMING", {}, "running"),
        ("FORGOTTEN", {"completed_at": 5 * S}, "ended"),
    ],
)
def test_each_status_of_dbos_is_a_state(status: str, more: dict[str, Any], state: str) -> None:
    """One that nobody knows is kept as it is; one that was cancelled at its deadline has timed out."""
    source, each = Kept(), row(status, 0, **more)
    Teller(source).run(each, known(each, None), [])
    assert [(told["state"], told["raw_state"]) for told in source.told] == [(state, status)]


@pytest.mark.parametrize(
    ("rows", "attempts", "began"),
    [
        ([row("ENQUEUED", 0), row("PENDING", 1, started_at_epoch_ms=3 * S)], [1, 1], [None, 3 * S]),
        ([row("PENDING", 1), row("ENQUEUED", 1), row("PENDING", 2, started_at_epoch_ms=7 * S)], [1, 2, 2], [S, None, 7 * S]),
        ([row("PENDING", 1), row("ENQUEUED", 1), row("CANCELLED", 1, completed_at=8 * S)], [1, 2, 2], [S, None, None]),
        ([row("PENDING", 1, started_at_epoch_ms=3 * S), row("CANCELLED", 1, completed_at=8 * S)], [1, 1], [3 * S, 3 * S]),
        ([row("CANCELLED", 2, completed_at=8 * S), row("ENQUEUED", 0), row("PENDING", 1), row("PENDING", 2)], [2, 3, 3, 4], None),
        ([row("CANCELLED", 1, completed_at=8 * S), row("SUCCESS", 1, completed_at=9 * S)], [1, 2], None),
    ],
)
def test_attempts_are_counted_on(rows: list[dict[str, Any]], attempts: list[int], began: list[int] | None) -> None:
    """Through recoveries, cancellations while it waits, and resumptions, where DBOS begins to count anew."""
    seen: list[Known] = []
    for each in rows:
        seen.append(known(each, Known(*json.loads(json.dumps(seen[-1]))) if seen else None))
    assert [each.attempt for each in seen] == attempts
    if began is not None:
        assert [each.began_ms for each in seen] == began


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 2 * * *", "Europe/Berlin", ["0 2 * * *", "Europe/Berlin"]),
        ("0 0 2 * * *", None, ["0 2 * * *", "UTC"]),
        ("*/10 * * * * *", None, []),
    ],
)
def test_a_schedule_is_declared_where_cron_can_say_it(cron: str, zone: str | None, said: list[str]) -> None:
    """Seconds it cannot."""
    schedules = [{"workflow_name": "nightly", "schedule": cron, "cron_timezone": zone}]
    assert list(declared("nightly", schedules).values()) == said
    assert declared("nightly", 2 * schedules) == declared("other", schedules) == {}


@pytest.mark.parametrize(
    ("run_id", "schedule", "slot"),
    [
        ("sched-a-b-2026-11-27T02:00:00+01:00", "a-b", 1795741200 * 10**9),
        ("sched-a-b-trigger-2026-11-27T01:30:55.003617+00:00", "a-b", None),
        ("sched-a-b-2026-11-27T02:00:00+01:00", None, None),
        ("mine", "a-b", None),
    ],
)
def test_a_scheduled_run_is_for_the_slot_that_its_id_names(run_id: str, schedule: str | None, slot: int | None) -> None:
    """One that a person triggered is for none."""
    assert slot_ns(run_id, schedule) == slot


def _spans(request: dict[str, Any]) -> list[dict[str, str]]:
    spans = [span for each in request["resourceSpans"] for scope in each["scopeSpans"] for span in scope["spans"]]
    return [{pair["key"]: next(iter(pair["value"].values())) for pair in span["attributes"]} for span in spans]


def _id_of(attributes: dict[str, str]) -> str:
    return attributes.get("operationUUID") or attributes["dbos.operation.workflow_id"]
