"""GitHub's webhooks of Actions, as octokit/webhooks collects them, sent to a collector."""

from __future__ import annotations

import json
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from collectors import CollectorProcess, until

RECORDED = Path(__file__).parent / "recordings" / "github"
BEGUN = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)  # what is old is not kept for long


def at(minute: int) -> str:
    """So long after it began, as GitHub writes times."""
    return f"{BEGUN + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


class Repository:
    """One that tells a collector of its runs: the deliveries that were collected, as of one history."""

    def __init__(self, collector: CollectorProcess, number: int) -> None:
        self.collector, self.number, self.name = collector, number, f"octo/repo{number}"

    def delivers(self, recorded: str, when: str, query: str = "", **changes: Any) -> httpx.Response:
        """One delivery, with its own times and what else is changed in it."""
        kind = recorded.partition(".")[0]
        said = json.loads((RECORDED / f"{recorded}.json").read_text())
        said["repository"] |= {"id": self.number, "full_name": self.name}
        for step in said[kind].get("steps", ()):
            step |= {"started_at": when, "completed_at": when}
        times = {name: when for name in ("updated_at", "run_started_at", "started_at", "completed_at") if said[kind].get(name)}
        identity = {"run_id": 77, "workflow_name": "test"} if kind == "workflow_job" else {"id": 77}
        said[kind] |= identity | times | changes
        return self.sends(kind, json.dumps(said).encode(), query)

    def sends(self, kind: str, body: bytes, query: str = "", **headers: str) -> httpx.Response:
        """One request."""
        url = f"{self.collector.url}/api/v1/github{query}"
        return httpx.post(url, content=body, headers={"X-GitHub-Event": kind, **headers}, trust_env=False)

    @property
    def run(self) -> dict[str, Any]:
        """The only run that the collector knows of it."""
        found = until(lambda: self.collector.item("/runs", workflow=f"{self.name}/test")["items"], "the run")
        assert len(found) == 1
        run: dict[str, Any] = found[0]
        return run

    def becomes(self, state: str) -> dict[str, Any]:
        """The run, once it is in that state."""
        until(lambda: self.run["state"] == state, f"it to be {state}")
        return self.run

    def told(self, what: str) -> list[dict[str, Any]]:
        """Its ``spans``, or its ``history``."""
        found: list[dict[str, Any]] = self.collector.item(f"/runs/{self.run['id']}/{what}", limit=1000)["items"]
        return found

    def tasks(self) -> list[tuple[str, str | None]]:
        """(name, parent's name) of its spans."""
        spans = self.told("spans")
        names = {span["span_id"]: span["name"] for span in spans}
        return [(span["name"], names.get(span["parent_span_id"])) for span in spans]


@pytest.fixture
def repository(shared_collector: CollectorProcess, request: pytest.FixtureRequest) -> Repository:
    """One that nobody has heard of."""
    return Repository(shared_collector, abs(hash(request.node.name)) % 10**9)


def test_a_run_with_its_jobs_and_their_steps(repository: Repository) -> None:
    """Queued, then running, then over; jobs are its tasks, and steps what these did."""
    assert repository.delivers("workflow_run.requested", at(0)).json() == {"kept": 1}
    assert repository.becomes("queued")["source"] == "github"
    repository.delivers("workflow_run.requested", at(1), status="in_progress")
    repository.becomes("running")
    repository.delivers("workflow_job.queued", at(1))
    repository.delivers("workflow_job.in_progress", at(2))
    repository.delivers("workflow_job.completed.success", at(3), id=1)
    repository.delivers("workflow_job.completed.failure", at(4), id=2, name="tests")
    repository.delivers("workflow_run.completed", at(5), conclusion="failure", run_started_at=at(1))
    run = repository.becomes("failed")
    assert (run["started_at"], run["ended_at"]) == (at(1).replace("Z", ".000000Z"), at(5).replace("Z", ".000000Z"))
    tasks = until(lambda: len(found := repository.tasks()) == 23 and found, "its spans")
    name = f"{repository.name}/test"
    assert {("linters", name), ("tests", name)} < set(tasks)
    assert ("Run yarn run format-check", "tests") in set(tasks)


def test_a_second_attempt_is_another_attempt_of_the_run(repository: Repository) -> None:
    """And what comes late of the first changes nothing."""
    repository.delivers("workflow_run.completed", at(2), conclusion="failure")
    repository.delivers("workflow_run.completed", at(9), run_attempt=2)
    repository.delivers("workflow_run.requested", at(1))
    assert repository.becomes("succeeded")["attempt"] == 2


@pytest.mark.parametrize(
    ("status", "conclusion", "state", "reason"),
    [
        ("waiting", None, "blocked", "approval"), ("pending", None, "blocked", "concurrency"),
        ("completed", "cancelled", "cancelled", None), ("completed", "timed_out", "timed_out", None),
        ("completed", "skipped", "skipped", None), ("completed", "startup_failure", "failed", "startup_failure"),
        ("completed", "neutral", "succeeded", "neutral"), ("completed", "action_required", "blocked", "action_required"),
        ("dancing", None, "running", "unknown state dancing"), ("completed", "melted", "ended", "unknown state melted"),
    ],
)  # fmt: skip
def test_each_word_of_github_is_one_of_ours(
    repository: Repository, status: str, conclusion: Any, state: str, reason: Any
) -> None:  # fmt: skip
    """Also one that nobody knows, which is kept as it is."""
    repository.delivers("workflow_run.completed", at(2), status=status, conclusion=conclusion)
    run = repository.becomes(state)
    assert run["reason"] == reason
    told = until(lambda: [each for each in repository.told("history") if each["kind"] == "run"], "what was told")
    assert [each["detail"] for each in told] == [conclusion or status]


def test_what_is_delivered_twice_is_told_once(repository: Repository) -> None:
    """GitHub's deliveries can be sent again by hand, and come in any order."""
    for _ in range(2):
        repository.delivers("workflow_job.completed.success", at(3))
        repository.delivers("workflow_run.completed", at(5))
        repository.delivers("workflow_run.requested", at(1))
    repository.becomes("succeeded")
    spans = until(lambda: len(found := repository.told("spans")) >= 10 and found, "its spans")
    assert len({span["span_id"] for span in spans}) == len(spans) == 10
    repository.collector.applied()
    told = [each["word"] for each in repository.told("history") if each["kind"] == "run"]
    assert sorted(told) == ["queued", "succeeded"]


def test_other_events_are_taken_and_not_kept(repository: Repository) -> None:
    """GitHub pings a new webhook, and would call it broken."""
    assert repository.sends("ping", b'{"zen": "Keep it logically awesome."}').json() == {"kept": 0, "ignored": "ping"}


def test_a_form_is_read_too(repository: Repository) -> None:
    """It is what GitHub sends unless the webhook says application/json."""
    said = json.loads((RECORDED / "workflow_run.completed.json").read_text())
    said["repository"] |= {"id": repository.number, "full_name": repository.name}
    body = urllib.parse.urlencode({"payload": json.dumps(said)}).encode()
    assert repository.sends("workflow_run", body).json() == {"kept": 1}
    repository.becomes("succeeded")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"workflow_run": 1, "repository": {}}', b"payload="])
def test_what_is_no_delivery_is_refused_with_what_is_wrong(repository: Repository, body: bytes) -> None:
    """Nothing is kept of it."""
    answer = repository.sends("workflow_run", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed")


def test_a_key_in_the_address_says_whose_runs_may_be_told(collector: CollectorProcess) -> None:
    """GitHub sends no header of ours; a key for one owner's workflows is for no other's."""
    key = collector.post("/api/v1/keys", {"scope": "ping", "patterns": ["octo/*"]}).json()["key"]
    collector.key = collector.post("/api/v1/keys", {"scope": "admin"}).json()["key"]  # none is needed before there is one
    ours, theirs = Repository(collector, 1), Repository(collector, 2)
    theirs.name = "other/repo"
    assert ours.delivers("workflow_run.completed", at(1), f"?key={key}").status_code == 200
    assert theirs.delivers("workflow_run.completed", at(1), f"?key={key}").status_code == 403
    assert ours.delivers("workflow_run.completed", at(1), "?key=nothing").status_code == 401
    assert ours.delivers("workflow_run.completed", at(1), f"?key={collector.key}").status_code == 403  # it is no key for pings
