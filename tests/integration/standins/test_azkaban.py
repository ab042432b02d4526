"""The stand-in of Azkaban answers as its documentation shows (docs/ajaxApi.rst of its repository, at 6db7500)."""

from __future__ import annotations

from typing import Any

import pytest
from standins.azkaban import Azkaban

SESSION = "session-1"


@pytest.fixture
def azkaban() -> Azkaban:
    """With a project as the documentation's sample has it, and somebody who is logged in."""
    made = Azkaban()
    jobs = {"test-bar": [], "test-foobar": ["test-bar"], "test-foo": ["test-foobar"], "test": ["test-foo"]}
    made.projects = {"test-azkaban": {"test": jobs}}
    assert made.login({"username": "azkaban", "password": "geheim"}) == {"status": "success", "session.id": SESSION}
    return made


def asked(azkaban: Azkaban, path: str, **query: Any) -> Any:
    return azkaban.get(path, {name: str(value) for name, value in query.items()}, SESSION)


def test_nobody_is_answered_without_a_session(azkaban: Azkaban) -> None:
    """LoginAbstractAzkabanServlet.doGet: an error in an answer that is fine for HTTP. A wrong password makes none."""
    assert azkaban.get("/executor", {"ajax": "fetchexecflow", "execid": "1"}, "other") == {"error": "session"}
    assert "session.id" not in azkaban.login({"username": "azkaban", "password": "wrong"})


def test_a_new_login_overrides_the_session_before(azkaban: Azkaban) -> None:
    """As "Authenticate" says of the same user."""
    azkaban.login({"username": "azkaban", "password": "geheim"})
    assert asked(azkaban, "/index", ajax="fetchuserprojects") == {"error": "session"}


def test_a_flow_whose_job_fails_looks_like_the_sample_of_fetch_a_flow_execution(azkaban: Azkaban) -> None:
    """Its very fields and states: FAILED, and CANCELLED for what comes after, with the time of cancelling as start and end."""
    _, flow = azkaban.submit("test-azkaban", "test")
    flow.start("test-bar")
    flow.finish("test-bar", "SUCCEEDED")
    flow.start("test-foobar")
    flow.finish("test-foobar", "FAILED")
    found = asked(azkaban, "/executor", ajax="fetchexecflow", execid=1)
    of_node = {"attempt", "startTime", "id", "updateTime", "status", "nestedId", "type", "endTime"}
    assert set(found) == of_node | {"submitUser", "submitTime", "projectId", "project", "flow", "flowId", "execid", "nodes"}
    states = {node["id"]: (node["status"], node.get("in")) for node in found["nodes"]}
    assert states == {
        "test": ("CANCELLED", ["test-foo"]),
        "test-bar": ("SUCCEEDED", None),
        "test-foobar": ("FAILED", ["test-bar"]),
        "test-foo": ("CANCELLED", ["test-foobar"]),
    }
    assert all(set(node) - {"in"} == of_node for node in found["nodes"])
    cancelled = next(node for node in found["nodes"] if node["id"] == "test")
    assert cancelled["startTime"] == cancelled["endTime"] == cancelled["updateTime"]
    assert (found["status"], found["type"], found["nestedId"]) == ("FAILED", None, "test")


def test_a_retry_keeps_what_was_tried(azkaban: Azkaban) -> None:
    """ExecutableNode.resetForRetry: READY again, without times, and the past attempt beside."""
    _, flow = azkaban.submit("test-azkaban", "test")
    flow.retries["test-bar"] = 1
    flow.start("test-bar")
    flow.finish("test-bar", "FAILED")
    node = asked(azkaban, "/executor", ajax="fetchexecflow", execid=1)["nodes"][0]
    assert (node["status"], node["attempt"], node["startTime"], node["endTime"]) == ("READY", 1, -1, -1)
    (past,) = node["pastAttempts"]
    assert (past["attempt"], past["status"], set(past)) == (0, "FAILED", {"attempt", "status", "startTime", "endTime"})


def test_a_kill_ends_what_runs_and_cancels_the_rest(azkaban: Azkaban) -> None:
    """FlowRunner.kill, then finalizeFlow."""
    _, flow = azkaban.submit("test-azkaban", "test")
    flow.start("test-bar")
    flow.kill()
    found = asked(azkaban, "/executor", ajax="fetchexecflow", execid=1)
    assert [found["status"], *(node["status"] for node in found["nodes"])] == ["KILLED", "KILLED"] + ["CANCELLED"] * 3


def test_executions_of_a_flow_come_in_pages_the_newest_first(azkaban: Azkaban) -> None:
    """With the fields of the sample of "Fetch Executions of a Flow"."""
    for _ in range(3):
        azkaban.submit("test-azkaban", "test")
    page = asked(azkaban, "/manager", ajax="fetchFlowExecutions", project="test-azkaban", flow="test", start=1, length=2)
    assert [each["execId"] for each in page["executions"]] == [2, 1]
    assert set(page) == {"executions", "total", "project", "length", "from", "flow", "projectId"}
    of_each = {"startTime", "submitUser", "status", "submitTime", "execId", "projectId", "endTime", "flowId"}
    assert set(page["executions"][0]) == of_each
    assert asked(azkaban, "/executor", ajax="getRunning", project="test-azkaban", flow="test") == {"execIds": [1, 2, 3]}


def test_what_is_not_there_is_an_error_in_words(azkaban: Azkaban) -> None:
    """ExecutorServlet and ProjectManagerServlet; without schedules ScheduleServlet answers with nothing."""
    assert asked(azkaban, "/executor", ajax="fetchexecflow", execid=9) == {"error": "Cannot find execution '9'"}
    assert asked(azkaban, "/manager", ajax="fetchprojectflows", project="no")["error"] == "Project no doesn't exist."
    assert asked(azkaban, "/schedule", ajax="fetchSchedules") == {}


def test_nested_ids_leave_out_the_outermost_flow(azkaban: Azkaban) -> None:
    """ExecutableNode.getPrintableId."""
    azkaban.projects["p"] = {"outer": {"a": [], "sub": (["a"], {"b": [], "deep": (["b"], {"c": []})})}}
    _, flow = azkaban.submit("p", "outer")
    assert flow.told()["nestedId"] == "outer"
    assert flow.told()["nodes"][1]["nestedId"] == "sub"
    assert [node["nestedId"] for node in flow.told()["nodes"][1]["nodes"]] == ["sub:b", "sub:deep"]
    assert flow.flows["sub"].flows["deep"].nodes["c"]["nestedId"] == "sub:deep:c"
