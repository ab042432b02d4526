"""The observer of Step Functions: histories that moto's server does not write."""

from __future__ import annotations

import json

import botocore.session
import pytest
from standins.step_functions import history
from telling import Telling

from rota_integrations.states import table_of
from rota_integrations.step_functions.history import Execution


def told(text: str, definition: str = "{}") -> Telling:
    """What one execution's history makes."""
    telling = Telling("step_functions")
    execution = Execution(telling, table_of("step_functions"), "etl", ("etl", "1790000000000"), {}, {}, lambda: definition)
    execution.add(history(text))
    return telling


def test_the_table_has_every_event_type_and_status_of_the_service() -> None:
    """As boto3 knows them: 62 types, of which those of executions and iterations are told by the run and by what is inside."""
    model = botocore.session.get_session().get_service_model("stepfunctions")
    table = table_of("step_functions")
    for kind in model.shape_for("HistoryEventType").enum:
        if not kind.startswith(("Execution", "MapIteration")):
            assert not (table.of_task(kind).reason or "").startswith("unknown"), kind
    for status in model.shape_for("ExecutionStatus").enum:
        assert not (table.of_run(status).reason or "").startswith("unknown"), status


def test_attempts_of_a_task_are_counted_also_those_that_never_began() -> None:
    """A function that could not be scheduled was tried, and its cause, which is JSON, says what went wrong."""
    cause = json.dumps({"errorMessage": "row_7", "errorType": "ValueError", "stackTrace": ["File_1"]}).replace(" ", "")
    telling = told(f"""
        1 0 0 ExecutionStarted
        2 0 1 TaskStateEntered name=extract
        3 2 2 LambdaFunctionScheduleFailed error=Lambda.TooMany
        4 3 3 LambdaFunctionScheduleFailed error=Lambda.TooMany
        5 4 4 LambdaFunctionScheduled
        6 5 5 LambdaFunctionFailed error=ValueError cause={cause}
        7 6 6 LambdaFunctionScheduled
        8 7 7 LambdaFunctionSucceeded
        9 8 8 TaskStateExited name=extract
    """)
    assert telling.ended == [("extract", "", number, "failed") for number in (1, 2, 3)] + [("extract", "", 4, "succeeded")]
    (failed,) = [each for each in telling.tasks if each.get("error", {}).get("error.type") == "ValueError"]
    assert (failed["error"]["exception.message"], failed["error"]["exception.stacktrace"]) == ("row_7", "File_1")


def test_a_failure_that_is_caught_leaves_a_failed_task_in_a_run_that_succeeds() -> None:
    """The state was left, but not by its task's success."""
    telling = told("""
        1 0 0 ExecutionStarted
        2 0 1 TaskStateEntered name=extract
        3 2 2 TaskScheduled
        4 3 3 TaskTimedOut error=States.Timeout
        5 4 3 TaskStateExited name=extract
        6 5 4 PassStateEntered name=instead
        7 6 4 PassStateExited name=instead
        8 7 5 ExecutionSucceeded
    """)
    assert telling.ended == [("extract", "", 1, "timed_out"), ("instead", "", 1, "succeeded")]
    assert telling.states() == ["running", "succeeded"]


def test_branches_and_iterations_keep_apart_and_what_is_called_off_is_cancelled() -> None:
    """Nested maps name their iterations; when a branch fails, its sibling did not."""
    telling = told("""
        1 0 0 ExecutionStarted
        2 0 0 MapStateEntered name=outer
        3 2 0 MapStateStarted length.=1
        4 3 0 MapIterationStarted name=outer index.=0
        5 4 1 MapStateEntered name=inner
        6 5 1 MapStateStarted length.=2
        7 6 1 MapIterationStarted name=inner index.=0
        8 6 1 MapIterationStarted name=inner index.=1
        9 7 1 PassStateEntered name=extract
        10 8 1 PassStateEntered name=extract
        11 9 2 PassStateExited name=extract
        12 11 2 MapIterationSucceeded name=inner index.=0
        13 10 3 PassStateExited name=extract
        14 13 3 MapIterationSucceeded name=inner index.=1
        15 14 3 MapStateSucceeded
        16 15 3 MapStateExited name=inner
        17 16 3 MapIterationSucceeded name=outer index.=0
        18 17 3 MapStateSucceeded
        19 18 3 MapStateExited name=outer
        20 19 4 ParallelStateEntered name=both
        21 20 4 ParallelStateStarted
        22 21 4 TaskStateEntered name=left
        23 21 4 WaitStateEntered name=right
        24 22 5 TaskFailed error=E cause=c
        25 24 5 ParallelStateFailed
        26 25 6 ExecutionFailed error=E cause=c
    """)
    assert telling.ended == [
        ("extract", "outer[0]/inner[0]", 1, "succeeded"),
        ("extract", "outer[0]/inner[1]", 1, "succeeded"),
        ("inner", "outer[0]", 1, "succeeded"),
        ("outer", "", 1, "succeeded"),
        ("left", "", 1, "failed"),
        ("right", "", 1, "cancelled"),
        ("both", "", 1, "failed"),
    ]


def test_a_state_that_is_entered_again_is_another_instance() -> None:
    """A loop by a choice does not overwrite its rounds."""
    telling = told("""
        1 0 0 ExecutionStarted
        2 0 1 PassStateEntered name=poll
        3 2 1 PassStateExited name=poll
        4 3 1 ChoiceStateEntered name=ready
        5 4 1 ChoiceStateExited name=ready
        6 5 2 PassStateEntered name=poll
        7 6 2 PassStateExited name=poll
    """)
    assert [each[:2] for each in telling.ended] == [("poll", ""), ("ready", ""), ("poll", "#2")]


def test_only_what_was_certain_to_follow_is_failed_by_what_came_before() -> None:
    """Up to the next choice, and also after the map around; what lies behind a choice nobody knows."""
    inner = {"StartAt": "a", "States": {"a": {"Type": "Task", "Next": "b"}, "b": {"Type": "Pass", "End": True}}}
    states = {
        "each": {"Type": "Map", "ItemProcessor": inner, "Next": "then"},
        "then": {"Type": "Choice", "Choices": [{"Next": "x"}], "Default": "y"},
        "x": {"Type": "Succeed"},
        "y": {"Type": "Succeed"},
    }
    telling = told(
        """
        1 0 0 ExecutionStarted
        2 0 0 MapStateEntered name=each
        3 2 0 MapStateStarted length.=1
        4 3 0 MapIterationStarted name=each index.=0
        5 4 1 TaskStateEntered name=a
        6 5 2 TaskFailed error=E
        7 6 3 ExecutionFailed error=E
        """,
        json.dumps({"StartAt": "each", "States": states}),
    )
    assert [each for each in telling.ended if each[3] == "upstream_failed"] == [
        ("b", "each[0]", 1, "upstream_failed"),
        ("then", "", 1, "upstream_failed"),
    ]


def test_a_redrive_is_the_next_attempt_of_the_run() -> None:
    """And of the task that had failed; nothing is rewritten."""
    telling = told("""
        1 0 0 ExecutionStarted
        2 0 1 TaskStateEntered name=extract
        3 2 1 TaskScheduled
        4 3 2 TaskFailed error=E
        5 4 3 ExecutionFailed error=E
        6 5 10 ExecutionRedriven redriveCount.=1
        7 6 11 TaskScheduled
        8 7 12 TaskSucceeded
        9 8 13 TaskStateExited name=extract
        10 9 14 ExecutionSucceeded
    """)
    states = [(each["state"], each["attempt"]) for each in telling.runs]
    assert states == [("running", 1), ("failed", 1), ("running", 2), ("succeeded", 2)]
    assert telling.ended == [("extract", "", 1, "failed"), ("extract", "", 2, "succeeded")]


def test_what_is_unknown_is_told_word_for_word_and_what_is_nowhere_is_left_out() -> None:
    """A type that AWS adds some day, and events that name others that are not there."""
    telling = told("""
        1 0 0 ExecutionStarted
        2 0 1 TaskStateEntered name=extract
        3 2 2 TaskHibernated
        4 99 3 MapIterationFailed name=nowhere index.=0
        5 99 3 PassStateExited name=nowhere
        6 99 4 ParallelStateFailed
        7 3 5 ExecutionAborted
    """)
    assert [each["reason"] for each in telling.tasks if each["raw_state"] == "TaskHibernated"] == ["unknown state TaskHibernated"]
    assert telling.ended == [("extract", "", 1, "cancelled")]


def test_an_event_that_is_broken_spoils_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does one that comes twice, or out of turn; it is said once."""
    broken = "\n".join(f"{number} 2 1 PassStateEntered" for number in (3, 4))
    telling = told(f"""
        1 0 0 ExecutionStarted
        2 0 0 TaskStateEntered name=extract
        {broken}
        5 4 2 TaskSucceeded
        5 4 2 TaskSucceeded
        2 0 0 TaskStateEntered name=extract
        6 5 3 TaskStateExited name=extract
        7 6 4 ExecutionSucceeded
    """)
    assert telling.ended == [("extract", "", 1, "succeeded")]
    assert telling.states() == ["running", "succeeded"]
    said = capsys.readouterr().err.splitlines()
    assert said == ["rota observe step_functions: PassStateEntered of etl is not understood, and left out (KeyError: 'name')"]
