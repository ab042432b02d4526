"""The stand-in of ActiveBatch answers as the public client's code and recorded answer say (see its own first lines)."""

from __future__ import annotations

from typing import Any

import pytest
from standins.activebatch import ActiveBatch

# Of one instance in backend/instances.json of the recorded answer, without those that no observer could want.
FIELDS = {"key", "template", "stateDescription", "state", "stateDetail", "beginExecutionTime", "endExecutionTime", "templatePID"}
FIELDS |= {"targetTemplateId", "templateId", "batchId", "predecessorId", "creationTime", "expectedExecutionTime", "exitCode"}
FIELDS |= {"exitCodeDescription", "queueId", "queueName", "restartTime", "restartCount"}
LOGIN = {"username": "rota", "password": "geheim", "jobScheduler": "scheduler", "validFor": "000.01:00:00"}


@pytest.fixture
def activebatch() -> ActiveBatch:
    """With somebody who is logged in."""
    made = ActiveBatch()
    assert made.login(LOGIN) == (200, {"token": "token-1"})
    return made


def listed(activebatch: ActiveBatch, **more: Any) -> tuple[int, Any]:
    query = {"templateId": "/", "startDate": "2020-01-01T00:00:00Z", **{name: str(value) for name, value in more.items()}}
    return activebatch.listed(query, "token-1")


def test_a_token_is_given_for_a_password_and_a_time(activebatch: ActiveBatch) -> None:
    """``login.py``: days.hours:minutes:seconds; anything else is not authorised."""
    assert activebatch.login({**LOGIN, "password": "wrong"})[0] == 401
    assert activebatch.login({**LOGIN, "validFor": "1h"})[0] == 401
    assert activebatch.listed({"templateId": "/", "startDate": "2020-01-01"}, "other")[0] == 401


def test_an_instance_has_the_fields_of_the_recorded_answer(activebatch: ActiveBatch) -> None:
    """And its times: UTC without a zone, and a year 1 for those that have not come."""
    activebatch.trigger("/PROD/nightly", "plan")
    status, (found,) = listed(activebatch)
    assert (status, set(found)) == (200, FIELDS)
    assert found["beginExecutionTime"] == found["endExecutionTime"] == "0001-01-01T00:00:00.000"
    assert len(found["creationTime"]) == len("2025-07-23T23:30:00.000")
    assert (found["key"]["type"], found["key"]["path"]) == ("plan", "/PROD/nightly")


def test_instances_come_in_pages_and_204_says_that_there_are_none(activebatch: ActiveBatch) -> None:
    """``user_defined.py``: ``pageSize``, ``pageIndex`` from 1, ``oldestFirst``."""
    assert listed(activebatch) == (204, None)
    for minute in range(5):
        activebatch.trigger(f"/PROD/{minute}", at=f"2026-01-01T00:0{minute}:00.000")
    names = [each["key"]["name"] for each in listed(activebatch, pageSize=2, pageIndex=2, oldestFirst="true")[1]]
    assert names == ["2", "3"]
    assert [each["key"]["name"] for each in listed(activebatch, pageSize=2)[1]] == ["4", "3"]
    assert listed(activebatch, pageSize=2, pageIndex=4) == (204, None)


def test_a_list_is_of_an_object_and_what_is_in_it_since_a_time(activebatch: ActiveBatch) -> None:
    """``templateId`` is a path (or a number, which no observer needs)."""
    activebatch.trigger("/PROD/a/job", at="2026-01-01T00:00:00.000")
    activebatch.trigger("/PROD/ab", at="2026-01-01T00:00:00.000")
    assert len(listed(activebatch, templateId="/PROD/a")[1]) == 1
    assert listed(activebatch, startDate="2026-01-01T00:00:01Z") == (204, None)
