"""The observer of Step Functions, and an account that is difficult."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

import botocore.session
import pytest
from standins.step_functions import START, Account, Messages, history
from telling import Telling

import rota_integrations.step_functions as room
from rota.errors import UsageError
from rota_integrations.following import Later
from rota_integrations.step_functions.events import Queue

DONE = """
    1 0 0 ExecutionStarted
    2 0 1 TaskStateEntered name=extract
    3 2 2 TaskScheduled
    4 3 3 TaskSucceeded
    5 4 4 TaskStateExited name=extract
    6 5 5 ExecutionSucceeded
"""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Of two things a page."""
    monkeypatch.setattr(room, "Source", Telling)
    return Account()


def observer(account: Account, since_seconds: float = 10.0**10) -> Any:
    """A new one, as after a start."""
    return room.Follower(account, None, ("*",), since_seconds)


def looked(account: Account, memory: dict[str, Any]) -> Any:
    """What a new one tells."""
    found = observer(account)
    found.look(memory)
    return found._source


def test_lists_and_histories_are_read_to_their_last_page(account: Account) -> None:
    """However few a page has."""
    for number in range(5):
        account.runs("etl", str(number), "SUCCEEDED", history(DONE), seconds=number)
    telling = looked(account, {})
    assert telling.states() == ["running", "succeeded"] * 5
    assert len(telling.ended) == 5


def test_a_history_goes_on_where_it_was_and_is_told_once(account: Account) -> None:
    """A second look reads the pages that are new, and what is over is not read again."""
    account.runs("etl", "1", "RUNNING", history(DONE)[:3])
    found, memory = observer(account), dict[str, Any]()
    found.look(memory)
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    found.look(memory)
    asked = account.asked["get_execution_history"]
    found.look(memory)
    assert account.asked["get_execution_history"] == asked
    assert found._source.states() == ["running", "succeeded"]
    assert found._source.ended == [("extract", "", 1, "succeeded")]


def test_an_execution_that_began_and_ended_between_two_looks_is_seen(account: Account) -> None:
    """It is in the list, though it never was among those that run."""
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    found, memory = observer(account), dict[str, Any]()
    found.look(memory)
    account.runs("etl", "2", "SUCCEEDED", history(DONE), seconds=60)
    found.look(memory)
    assert len({each["run"] for each in found._source.runs}) == 2


def test_after_a_restart_an_open_execution_is_told_again_with_the_same_ids_and_times(account: Account) -> None:
    """So nothing is told twice, and its end, which came in between, is not missed."""
    account.runs("etl", "1", "RUNNING", history(DONE)[:3])
    memory: dict[str, Any] = {}
    before = looked(account, memory)
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    after = looked(account, json.loads(json.dumps(memory)))
    assert after.runs[: len(before.runs)] == before.runs
    assert after.tasks[: len(before.tasks)] == before.tasks
    assert after.states() == ["running", "succeeded"]


def test_executions_from_before_are_left_alone_unless_they_still_run(account: Account) -> None:
    """The first look goes back as far as it is told to, by the clock of this host: an old one that runs is found in any case."""
    account.runs("etl", "old", "SUCCEEDED", history(DONE), seconds=-START + 1)
    account.runs("etl", "long", "RUNNING", history(DONE)[:2], seconds=-START + 2)
    found = observer(account, since_seconds=3600)
    found.look({})
    assert [each["facts"]["aws.step_functions.execution.arn"].rpartition(":")[2] for each in found._source.runs] == ["long"]


def test_throttling_asks_for_patience_and_loses_nothing(account: Account) -> None:
    """What was read before stays read."""
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    found, memory = observer(account), dict[str, Any]()
    account.throttles = 1
    with pytest.raises(Later) as caught:
        found.look(memory)
    assert caught.value.seconds is None
    found.look({})
    assert found._source.states() == ["running", "succeeded"]


def test_a_first_look_at_more_than_aws_answers_at_once_is_finished_in_several(account: Account) -> None:
    """Each goes on where AWS refused the one before: nothing is read again, nor told again."""
    for number in range(10):
        account.runs("etl", str(number), "SUCCEEDED", history(DONE), seconds=number)
    found, looks = observer(account), 0
    for _ in range(20):
        account.tokens, looks = 9, looks + 1  # an execution here takes three pages
        try:
            found.look({})
            break
        except Later:
            pass
    assert 3 <= looks <= 5
    assert found._source.states() == ["running", "succeeded"] * 10
    assert len(found._source.ended) == 10


def test_the_end_of_an_execution_survives_that_its_definition_cannot_be_had_now(account: Account) -> None:
    """It is asked for when a state has failed; the event counts as read only afterwards."""
    failed = history(DONE)[:3] + history("4 3 3 TaskFailed error=E\n5 4 4 ExecutionFailed error=E")
    account.runs("etl", "1", "FAILED", failed)
    account.refused = {"describe_state_machine_for_execution"}
    found = observer(account)
    with pytest.raises(Later):
        found.look({})
    found.look({})
    assert found._source.states() == ["running", "failed"]
    assert found._source.ended == [("extract", "", 1, "failed")]
    assert found._source.runs[-1]["error"]["error.type"] == "E"


def test_a_history_without_its_end_is_completed_by_the_description(account: Account) -> None:
    """A history is consistent eventually, and may say less than the execution does."""
    account.runs("etl", "1", "TIMED_OUT", history(DONE)[:3])
    assert looked(account, {}).states() == ["running", "timed_out"]


def test_an_execution_that_aws_forgot_is_ended_and_not_guessed(account: Account) -> None:
    """After 90 days nobody knows how it went."""
    account.runs("etl", "1", "RUNNING", history(DONE)[:3])
    memory: dict[str, Any] = {}
    looked(account, memory)
    (executions,) = account.machines.values()
    (execution,) = executions.values()
    execution.update(events=None, status="SUCCEEDED")
    telling = looked(account, memory)
    assert (telling.states(), telling.runs[0]["reason"]) == (["ended"], "no longer kept by Step Functions")
    assert looked(account, memory).runs == []


def test_the_account_of_these_tests_answers_in_the_words_of_the_service(account: Account) -> None:
    """Each name in its answers is one of boto3's model."""
    model = botocore.session.get_session().get_service_model("stepfunctions")
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    ((machine, executions),) = account.machines.items()
    (arn,) = executions
    questions: dict[str, dict[str, Any]] = {
        "ListStateMachines": {},
        "ListExecutions": {"stateMachineArn": machine},
        "GetExecutionHistory": {"executionArn": arn, "reverseOrder": True, "includeExecutionData": False},
    }
    for operation, wanted in questions.items():
        answer = getattr(account, re.sub("(?<!^)([A-Z])", r"_\1", operation).lower())(**wanted)
        shape = model.operation_model(operation)
        assert set(answer) <= set(shape.output_shape.members)
        assert set(wanted) <= set(shape.input_shape.members)


def test_only_wanted_machines_are_looked_at_and_express_ones_never(account: Account) -> None:
    """An express machine has no executions to list; asking would be an error."""
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    account.runs("other", "1", "SUCCEEDED", history(DONE))
    found: Any = room.Follower(account, None, ("et*",), 10.0**10)
    found.look({})
    assert {each["workflow"] for each in found._source.runs} == {"etl"}


# -- EventBridge -------------------------------------------------------------------------------------------------------


def queued(account: Account, messages: Messages, wanted: str = "*") -> Any:
    """An observer that has listed once already, when there was nothing."""
    found: Any = room.Follower(account, None, (wanted,), 10.0**10, queue=Queue(messages, "url"))
    found.look({})
    return found


def test_with_a_queue_executions_are_seen_without_listing_them(account: Account) -> None:
    """Of machines, too, that are new; those that no pattern wants are left out."""
    messages = Messages()
    found, memory = queued(account, messages, "et*"), dict[str, Any]()
    listed = account.asked["list_executions"]
    account.runs("etl", "1", "RUNNING", history(DONE)[:3])
    messages.changed("etl", "1", "RUNNING")
    messages.changed("other", "1", "RUNNING")
    messages.put("no event")
    found.look(memory)
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    found.look(memory)
    assert found._source.states() == ["running", "succeeded"]
    assert account.asked["list_executions"] == listed
    assert messages.bodies == {}


def test_what_was_read_from_a_queue_and_not_told_is_read_again(account: Account) -> None:
    """AWS throttles in between: the message is still there."""
    messages = Messages()
    found = queued(account, messages)
    account.runs("etl", "1", "SUCCEEDED", history(DONE))
    for _ in range(25):
        messages.changed("etl", "1", "SUCCEEDED")
    account.throttles = 1
    with pytest.raises(Later):
        found.look({})
    assert len(messages.bodies) == 25
    messages.again()
    found.look({})
    assert (messages.bodies, found._source.states()) == ({}, ["running", "succeeded"])


def test_without_a_region_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Before anything is looked at."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    with pytest.raises(UsageError, match="You must specify a region. Set AWS_REGION"):
        room.follower(parser.parse_args([]))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    found = room.follower(parser.parse_args(["--machine", "b*", "--machine", "a", "--since", "2d"]))
    assert found.where.startswith("default eu-central-1 https://states.eu-central-1.")
    assert found.where.endswith(" a b*")
