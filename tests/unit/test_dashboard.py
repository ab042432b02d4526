"""The dashboard's pages, drawn by Streamlit's own test runner from a stub of the collector's API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from rota_dashboard import __main__ as program
from rota_dashboard import config, shape, views
from rota_dashboard.client import Collector, CollectorAway, CollectorRefused

APP = str(Path(views.__file__).parents[1] / "app.py")
HOSTILE = "**bold** [a](http://evil.example) ![](http://evil.example/x.png) <script>alert(1)</script> :smile:"


def a_run(**fields: Any) -> dict[str, Any]:
    return {
        "id": "0190-1", "workflow": "etl.nightly", "state": "succeeded", "reason": None, "attempt": 1, "slot_at": None,
        "started_at": "2026-03-01T02:00:03.000000Z", "ended_at": "2026-03-01T02:00:05.500000Z", "duration_seconds": 2.5,
        "exit_code": 0, "error_type": None, "error_message": None, "host": "etl-2",
        "source": "sdk", "trace_id": "0190", "tags": [], **fields,
    }  # fmt: skip


def a_workflow(**fields: Any) -> dict[str, Any]:
    return {
        "name": "etl.nightly", "level": "observe", "state": "succeeded", "last_run": a_run(), "next_due_at": None,
        "verdict": None, "success_rate_30d": 0.976, "tags": [], "outcomes": ["failed", "succeeded", "succeeded"], **fields,
    }  # fmt: skip


def a_task(span_id: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "span_id": span_id, "parent_span_id": parent, "name": span_id, "state": "succeeded",
        "started_at": f"2026-03-01T02:00:{span_id[-2:]}Z",
        "ended_at": None, "duration_seconds": 1.0, "error_type": None, "error_message": None, "attributes": {}, **fields,
    }  # fmt: skip


FAILED = a_run(
    state="failed", exit_code=1, error_type="builtins.ValueError", error_message=HOSTILE, tasks=[a_task("extract-03", "root")],
    error_stack=f"Traceback (most recent call last):\nValueError: {HOSTILE}\n",
)  # fmt: skip


@pytest.fixture
def api(monkeypatch):
    """What the collector answers, by path; a path that is not there is a 404."""
    answers: dict[str, Any] = {"/api/v1/workflows": {"items": [a_workflow()]}, "/api/v1/runs": {"items": [a_run()]}}

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(
            request.url.path, httpx.Response(404, json={"error": {"code": "not_found", "message": "no such run"}})
        )
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    monkeypatch.setattr(views, "Collector", lambda url, token: Collector(url, token, httpx.MockTransport(answer)))
    views.collector.clear()
    yield answers
    views.collector.clear()


def overview() -> AppTest:
    page = AppTest.from_file(APP, default_timeout=30).run()
    assert not page.exception
    return page


def run_page(run_id: str) -> AppTest:
    def script() -> None:
        from rota_dashboard.views import run

        run.show()

    page = AppTest.from_function(script, default_timeout=30)
    page.query_params["id"] = run_id
    page.run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    return "\n".join(str(element.value) for kind in ("header", "subheader", "caption", "text") for element in page.get(kind))


def test_the_overview_shows_each_workflow_with_state_strip_duration_and_rate(api):
    """One row a workflow: its state, the last outcomes as a strip, the last duration and the success rate."""
    row = overview().dataframe[0].value.iloc[0]
    assert row["Workflow"] == "etl.nightly"
    assert row["State"] == "▄ succeeded"
    assert row["Last 30, newest right"] == "█▄▄"
    assert (row["Duration"], row["Success, 30 days"], row["Level"]) == ("2.5 s", "98%", "observe")


def test_a_workflow_that_never_ran_is_a_row_too(api):
    """It has a policy and no run: its state says so, and it is neither bad nor running."""
    api["/api/v1/workflows"] = {
        "items": [a_workflow(state=None, last_run=None, success_rate_30d=None, outcomes=[], level="expect")]
    }
    page = overview()
    row = page.dataframe[0].value.iloc[0]
    assert (row["State"], row["Last run (UTC)"], row["Duration"], row["Success, 30 days"]) == ("never ran", "–", "–", "–")
    assert [page.header[0].value, page.caption[0].value] == ["Nothing needs you.", "1 workflow · 0 running now"]


def test_the_overview_lists_the_newest_runs(api):
    """Below the workflows stand the runs, a failed one with its error."""
    api["/api/v1/runs"] = {"items": [FAILED, a_run()]}
    rows = overview().dataframe[1].value
    assert list(rows["State"]) == ["█ failed", "▄ succeeded"]
    assert rows["Error"][0].startswith("builtins.ValueError: ")


@pytest.mark.parametrize(
    ("states", "title"),
    [
        (["succeeded", "running"], "Nothing needs you."),
        (["failed", "succeeded"], "1 workflow needs someone"),
        (["failed", "crashed", "timed_out"], "3 workflows need someone"),
    ],
)
def test_the_title_says_whether_somebody_is_needed(api, states, title):
    """The page is a sentence first: how many workflows ended badly."""
    api["/api/v1/workflows"] = {"items": [a_workflow(name=state, state=state) for state in states]}
    assert overview().header[0].value == title


def test_an_empty_collector_shows_the_two_lines(api):
    """Before the first run the page says how to get one."""
    api["/api/v1/workflows"] = {"items": []}
    assert overview().code[0].value == "import rota\nrota.watch()"


def test_an_absent_collector_is_said_calmly(api):
    """Without a collector there is no error and no red: the address, that nothing is lost, and that it tries again."""
    api["/api/v1/workflows"] = httpx.ConnectError("refused")
    page = overview()
    assert "The collector does not answer." in texts(page)
    assert "http://127.0.0.1:4318" in texts(page)
    assert "nothing is lost" in texts(page)
    assert not page.error


def test_a_refusal_shows_the_collectors_own_words(api):
    """A collector that wants a key says so on the page, with its hint."""
    api["/api/v1/workflows"] = httpx.Response(
        401, json={"error": {"code": "no_key", "message": "A key is needed.", "hint": "Set ROTA_TOKEN."}}
    )
    assert "A key is needed. Set ROTA_TOKEN." in texts(overview())


def test_a_run_shows_its_error_its_figures_and_its_tasks(api):
    """The run page: the stack as it was printed, exit status, host, and the tasks."""
    api["/api/v1/runs/0190-1"] = FAILED
    page = run_page("0190-1")
    assert page.header[0].value == "█ failed"
    assert page.code[0].value == FAILED["error_stack"].rstrip()
    assert page.dataframe[0].value["Exit status"][0] == "1"
    assert list(page.dataframe[1].value["Task"]) == ["extract-03"]


def test_a_run_without_tasks_says_so(api):
    """A run of a plain script has none, and that is no fault."""
    api["/api/v1/runs/0190-1"] = a_run(tasks=[])
    assert "This run reported none." in texts(run_page("0190-1"))


def test_an_unknown_run_is_said_to_be_unknown(api):
    """A link to a run that the collector does not have leads to a page that says so."""
    assert "The collector knows no run '0190-9'" in texts(run_page("0190-9"))


def test_what_users_wrote_is_never_interpreted(api):
    """Names and messages with Markdown, HTML or links in them reach only elements that show plain text."""
    api["/api/v1/workflows"] = {"items": [a_workflow(name=HOSTILE)]}
    api["/api/v1/runs"] = {"items": [FAILED | {"workflow": HOSTILE}]}
    api["/api/v1/runs/0190-1"] = FAILED | {"workflow": HOSTILE, "tasks": [a_task("x-03", name=HOSTILE)]}
    for page in (overview(), run_page("0190-1")):
        interpreted = [
            str(element.value)
            for kind in ("markdown", "header", "subheader", "caption", "title", "html")
            for element in page.get(kind)
        ]
        assert interpreted
        assert [text for text in interpreted if "evil" in text] == []


def test_tasks_stand_under_their_parents_in_the_order_they_started():
    """Nesting shows as indentation; a task whose parent is not in the run stands at the top."""
    tasks = [a_task("b-02", "root"), a_task("c-03", "a-01"), a_task("a-01", "root"), a_task("d-04", "c-03")]
    names = [row["Task"] for row in shape.task_rows(tasks)]
    assert names == ["a-01", "\u2003c-03", "\u2003\u2003d-04", "b-02"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0354, "35 ms"),
        (0.42, "0.42 s"),
        (2.5, "2.5 s"),
        (12.4, "12 s"),
        (59.7, "1m 00s"),
        (466, "7m 46s"),
        (7200, "2h 00m"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    """Units, not decimals."""
    assert shape.duration(seconds) == text


@pytest.mark.parametrize("state", ["paused", "queued", "something_new"])
def test_every_state_has_a_shape(state):
    """A state that the page does not know is shown as work in progress, by its name."""
    assert shape.state({"state": state}) == f"▷ {state.replace('_', ' ')}"


def test_the_client_sends_the_key():
    """ROTA_TOKEN goes with every request as a bearer token."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, json={"items": []})

    Collector("http://collector", "s3cret", httpx.MockTransport(answer)).runs("etl")
    assert seen == ["Bearer s3cret"]


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="hello"), httpx.Response(502, text="<html>"), httpx.Response(200, json=[1])]
)
def test_an_answer_that_is_not_of_a_collector_is_named(answer):
    """Somebody else's server on the port is said to be that, with its status."""
    with pytest.raises(CollectorRefused, match=f"answered {answer.status_code}, and not as a rota collector does"):
        Collector("http://other", transport=httpx.MockTransport(lambda _: answer)).workflows()


def test_a_timeout_counts_as_away():
    """A collector that is too slow to answer is away; the page tries again."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    with pytest.raises(CollectorAway):
        Collector("http://slow", transport=httpx.MockTransport(answer)).workflows()


@pytest.mark.parametrize(
    ("value", "address"), [("", ("127.0.0.1", 8501)), ("127.0.0.1:9", ("127.0.0.1", 9)), ("[::1]:80", ("::1", 80))]
)
def test_it_listens_where_the_setting_says(monkeypatch, value, address):
    """ROTA_DASHBOARD is HOST:PORT, 127.0.0.1:8501 when not set."""
    monkeypatch.setenv("ROTA_DASHBOARD", value)
    assert config.listen() == address


@pytest.mark.parametrize(
    ("value", "text"), [("8501", "is not HOST:PORT"), ("127.0.0.1:x", "is not HOST:PORT"), ("0.0.0.0:8501", "no login")]
)
def test_a_wrong_address_ends_with_a_message_and_status_2(monkeypatch, capsys, value, text):
    """An address that cannot be used, or that strangers could reach, is refused with the value and the way out."""
    monkeypatch.setenv("ROTA_DASHBOARD", value)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"ROTA_DASHBOARD={value!r}" in error
    assert text in error


def test_the_key_may_be_in_a_file(monkeypatch, tmp_path):
    """ROTA_TOKEN_FILE names a file with the key; ROTA_TOKEN comes before it; an unreadable file is no key."""
    monkeypatch.delenv("ROTA_TOKEN", raising=False)
    monkeypatch.setenv("ROTA_TOKEN_FILE", str(tmp_path / "key"))
    assert config.token() == ""
    (tmp_path / "key").write_text("from-file\n")
    assert config.token() == "from-file"
    monkeypatch.setenv("ROTA_TOKEN", "direct")
    assert config.token() == "direct"
