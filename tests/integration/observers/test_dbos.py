"""DBOS's own: processes that die and come back, looks again, errors out of the database, the same run in its own spans."""

from __future__ import annotations

import base64
import os
import pickle
from collections import Counter
from pathlib import Path

import pytest
from collectors import clean_environment
from observed import seen
from observers.dbos import observe
from observers.system import program

from rota.foreign import Source
from rota_collector.decode.aliases import SYSTEMS
from rota_collector.decode.scalars import uuid_of
from rota_integrations.dbos import schedule_of
from rota_integrations.dbos.errors import error_of

LIKE_ANY = clean_environment()


def test_a_workflow_that_is_taken_up_again_is_the_same_run(tmp_path: Path) -> None:
    """After kill -9 it is running, as DBOS says, and nothing is told twice when it is looked at again."""
    home = tmp_path / "home"
    program("dbos")("killed", tmp_path, LIKE_ANY)
    observe(tmp_path, home)
    (run,) = seen(home)
    assert (run.workflow, run.states) == ("killed", ["running"])
    program("dbos", RECOVER="yes")("killed success", tmp_path, LIKE_ANY)
    observe(tmp_path, home)
    observe(tmp_path, home)
    (run,) = seen(home)
    assert run.states == ["running", "succeeded"]
    assert Counter(run.raw) == {"PENDING": 2, "SUCCESS": 1}  # of the same id: its status has changed since
    assert {name: task.last for name, task in run.tasks.items()} == {"extract": {"succeeded"}, "load": {"succeeded"}}


@pytest.mark.parametrize("workflow_id", ["01990000-0000-7000-8000-00000000000b", "sched-nightly-2026-05-01T02:00:00+02:00"])
def test_a_run_is_the_same_in_its_own_spans(workflow_id: str) -> None:
    """The collector makes the same id of what DBOS's own tracing calls operationUUID."""
    (system,) = (system for system in SYSTEMS if system.run_id == ("operationUUID",))
    assert Source("dbos").run_id((workflow_id,)) == str(uuid_of(system.identity([workflow_id])))


class Boom(Exception):
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    ("kept", "kind", "message"),
    [
        (base64.b64encode(pickle.dumps(ValueError("row 7"))).decode(), "ValueError", "row 7"),
        ('{"name": "TypeError", "message": "no"}', "TypeError", "no"),
        ("what is this", "Error", "what is this"),
    ],
)
def test_an_error_out_of_the_database_says_what_it_was(kept: str, kind: str, message: str) -> None:
    """Pickled, in JSON, or as it stands where it is neither."""
    told = error_of(kept)
    assert (told["error.type"], told["exception.message"]) == (kind, message)


def test_nothing_that_is_pickled_in_the_database_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write the database cannot make the observer call anything."""
    called = []
    monkeypatch.setattr(os, "system", called.append)
    error_of(base64.b64encode(pickle.dumps(Boom())).decode())
    assert called == []


def test_a_schedule_is_known_by_the_workflow_s_id() -> None:
    """Its slot is the time in it; one that a person began has none; a cron with seconds is not declared."""
    schedules = {
        "nightly": {"schedule": "0 2 * * *", "cron_timezone": "Europe/Berlin"},
        "often": {"schedule": "*/5 * * * * *", "cron_timezone": None},
    }
    declared = {"rota.schedule.spec": "0 2 * * *", "rota.schedule.tz": "Europe/Berlin"}
    for identity, told in (
        ("sched-nightly-2026-05-01T02:00:00+02:00", {"declared": declared, "slot_ns": 1777593600 * 10**9}),
        ("sched-nightly-trigger-2026-05-01T02:00:07.123+02:00", {"declared": declared}),
        ("sched-often-2026-05-01T00:00:05+00:00", {"slot_ns": 1777593605 * 10**9}),
        ("sched-gone-2026-05-01T00:00:00+00:00", {"slot_ns": 1777593600 * 10**9}),
        ("01990000-0000-7000-8000-00000000000b", {}),
    ):
        assert schedule_of({"workflow_uuid": identity}, schedules) == told
