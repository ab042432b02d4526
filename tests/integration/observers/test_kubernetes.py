"""The observer of Kubernetes: what the contract's scenarios do not show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from collectors import clean_environment
from observers.kubernetes import recording_of
from orchestrators import SOURCES
from servers import rota
from standins.kubernetes import Cluster, Played, now, serve
from standins.recorded import replaying
from telling import Telling

import rota_integrations.kubernetes as room
from rota.errors import UsageError
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.following import Later
from rota_integrations.kubernetes import cluster as api


class World:
    """A cluster, served, and an observer of it that is a new one whenever it is asked for."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self.cluster, self.url = cluster, url
        self.memory: dict[str, Any] = {}

    def look(self, **more: Any) -> Telling:
        """What a new observer tells, after one that knew what this one is told."""
        options: dict[str, Any] = {"namespaces": [""], "with_others": False, "zone": "UTC", **more}
        follower = room.Follower(api.Cluster(self.url), **options)
        follower.look(self.memory)
        self.memory = json.loads(json.dumps(self.memory))
        telling: Telling = follower._source  # type: ignore[assignment]
        return telling


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Of this test."""
    monkeypatch.setattr(room, "Source", Telling)
    cluster = Cluster()
    with serve(cluster) as url:
        yield World(cluster, url)


def test_a_job_that_ended_between_two_looks_is_told_whole_and_once(world: World) -> None:
    """Each of its states, its containers, the time that it was due; nothing at the next look."""
    world.look()
    job = Played(world.cluster, "nightly")
    job.pod()
    for step in ("extract", "load"):
        job.begin(step)
        job.end(step)
    told = world.look()
    assert told.states() == ["queued", "starting", "running", "succeeded"]
    assert [each[:1] + each[3:] for each in told.ended] == [("extract", "succeeded"), ("load", "succeeded")]
    assert {each["slot_ns"] for each in told.runs} == {1793494800 * 10**9}
    assert told.runs[0]["declared"] == {names.SCHEDULE_SPEC: "0 2 * * *", names.SCHEDULE_TZ: "Europe/Berlin"}
    assert world.look().runs == world.look().tasks == []


def test_what_the_api_keeps_no_longer_is_looked_at_anew(world: World) -> None:
    """Its watch answers 410: all Jobs are listed. What is known is not told again; one that is gone has ended."""
    world.look()
    stays, goes = Played(world.cluster, "stays"), Played(world.cluster, "goes")
    for job in (stays, goes):
        job.pod()
        job.begin("extract")
    world.look()
    goes.delete()
    stays.end("extract")
    world.cluster.forget()
    told = world.look()
    assert [(each["state"], each["reason"]) for each in told.runs] == [("ended", "gone")]
    assert told.runs[0]["workflow"] == "etl/goes"
    assert [each[0] for each in told.ended] == ["extract"]


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["watched", "listed anew"])
def test_a_job_that_is_over_and_changes_is_not_told_again(is_forgotten: bool, world: World) -> None:
    """Its status does, its labels may, and in the end the limit of its CronJob's history deletes it."""
    world.look()
    job = Played(world.cluster, "nightly", steps=("load",))
    job.pod()
    job.begin("load")
    job.end("load")
    assert world.look().states()[-1] == "succeeded"
    for change in (lambda: job.status(active=None), job.delete):
        change()
        if is_forgotten:
            world.cluster.forget()
        told = world.look()
        assert (told.runs, told.tasks) == ([], [])
    assert world.memory[""]["over"] == {}


@pytest.mark.parametrize(
    ("code", "reason", "state", "said"),
    [
        (137, "OOMKilled", "crashed", "oom_killed"), (137, "Error", "crashed", "signal"), (1, "Error", "failed", None),
        (128, "ContainerCannotRun", "failed", "cannot run"),
    ],
)  # fmt: skip
def test_how_a_container_ended(world: World, code: int, reason: str, state: str, said: str | None) -> None:
    """Its exit code and reason say; what killed a container killed its run."""
    job = Played(world.cluster, "nightly")
    job.pod()
    job.begin("extract")
    job.end("extract", code, reason)
    told = world.look()
    task = next(each for each in told.tasks if each["task"] == "extract")
    assert (task["state"], task.get("reason"), task["facts"][names.PROCESS_EXIT_CODE]) == (state, said, code)
    assert told.states()[-1] == ("crashed" if state == "crashed" else "failed")


def test_a_deadline_and_a_suspension_have_words_of_their_own(world: World) -> None:
    """``activeDeadlineSeconds`` ends a Job with what the API says; a suspended one is paused."""
    world.look()
    job = Played(world.cluster, "nightly")
    job.condition("Suspended", "JobSuspended")
    job.condition("Suspended", "JobResumed", status="False")
    job.pod()
    job.condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    told = world.look()
    assert told.states() == ["queued", "paused", "queued", "starting", "timed_out"]
    assert told.runs[-1]["error"][names.EXCEPTION_MESSAGE] == "Job was active longer than specified deadline"


def test_a_container_that_is_restarted_in_its_pod_is_tried_again(world: World) -> None:
    """``restartPolicy: OnFailure``: the pod stays, its container has another attempt."""
    job = Played(world.cluster, "nightly", backoff=6)
    pod = job.pod()
    world.look()
    job.begin("extract")
    world.look()
    ended = {"exitCode": 3, "reason": "Error", "startedAt": now(), "finishedAt": now()}
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    job.container("extract").update(restartCount=1, lastState={"terminated": ended}, state=waits)
    world.cluster.changed("pods", pod)
    told = world.look()
    assert [(each["attempt"], each["state"]) for each in told.tasks] == [(1, "failed"), (2, "retry_wait")]


@pytest.mark.parametrize(
    ("scenario", "states", "ends"),
    [
        ("restarts", ["queued", "starting", "succeeded"], ["extract 1 succeeded", "load 1 failed", "load 2 succeeded"]),
        ("deadline", ["queued", "starting", "timed_out"], ["extract 1 succeeded"]),
    ],
)  # fmt: skip
def test_what_a_real_cluster_answered(scenario: str, states: list[str], ends: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is restarted in its pod; a Job that lasts too long, whose pod is gone when it has ended."""
    monkeypatch.setattr(room, "Source", Telling)
    recorded, memory, told = recording_of(scenario), dict[str, Any](), list[Telling]()
    with replaying(recorded["records"]) as url:
        for _ in range(recorded["looks"]):
            follower = room.Follower(api.Cluster(url), [f"rota-{scenario}"], with_others=False, zone="UTC")
            follower.look(memory)
            told.append(follower._source)  # type: ignore[arg-type]
    assert [state for each in told for state in each.states()] == states
    tasks = [task for each in told for task in each.tasks if task["state"] in TERMINAL]
    assert ["{task} {attempt} {state}".format(**task) for task in tasks] == ends


def test_a_server_without_cron_jobs_is_too_old() -> None:
    """Which is said, with the version that has them."""
    with replaying([]) as url, pytest.raises(OSError, match="Kubernetes 1.21 or newer"):
        room.Follower(api.Cluster(url), [""], with_others=False, zone="UTC").schedules()


def test_a_word_that_nobody_knows_is_kept(world: World) -> None:
    """Of a container that waits, and of a Job that failed."""
    job = Played(world.cluster, "nightly")
    pod = job.pod()
    world.look()
    job.container("extract")["state"] = {"waiting": {"reason": "Meditating"}}
    world.cluster.changed("pods", pod)
    task = next(each for each in world.look().tasks if each["task"] == "extract")
    assert (task["state"], task["reason"], task["raw_state"]) == ("running", "unknown state Meditating", "Meditating")
    job.condition("Failed", "BadMood")
    told = world.look()
    last = told.runs[-1]
    assert (last["state"], last["reason"], last["raw_state"]) == ("ended", "unknown state BadMood", "BadMood")


def test_long_lists_come_in_pages(world: World) -> None:
    """All of them, whatever their length."""
    for number in range(5):
        Played(world.cluster, f"job{number}")
    world.cluster.page = 2
    assert len({each["workflow"] for each in world.look().runs}) == 5


def test_jobs_that_no_cron_job_made_are_seen_when_they_are_asked_for(world: World) -> None:
    """Each is a workflow of its name."""
    job = Played(world.cluster, "nightly")
    del job.job["metadata"]["ownerReferences"]
    world.cluster.changed("jobs", job.job)
    assert world.look().runs == []
    world.memory = {}
    assert {each["workflow"] for each in world.look(with_others=True).runs} == {"etl/nightly-29374680"}


def test_a_busy_api_is_left_alone_for_as_long_as_it_says(world: World) -> None:
    """429 with Retry-After."""
    world.cluster.busy = 1
    with pytest.raises(Later) as raised:
        world.look()
    assert raised.value.seconds == 7.0


def test_in_a_pod_its_account_opens_the_api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The token is read each time, since Kubernetes replaces it; elsewhere one is told what to say."""
    with pytest.raises(UsageError, match="--server URL"):
        api.of_this_pod()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setattr(api, "_ACCOUNT", str(tmp_path))
    Authority(tmp_path).certificate.rename(tmp_path / "ca.crt")
    assert api.of_this_pod().url == "https://[fd00::1]:443"
    cluster = Cluster()
    with serve(cluster) as url:
        here = api.Cluster(url, str(tmp_path))
        for token in ("first", "second"):
            cluster.token = token
            (tmp_path / "token").write_text(token + "\n")
            assert here.listed("/apis/batch/v1/jobs") == ([], "100")


def test_the_command_says_what_it_could_not_do(tmp_path: Path) -> None:
    """With the address, and exit status 1."""
    environment = clean_environment(ROTA_HOME=str(tmp_path), PYTHONPATH=SOURCES)
    done = rota("observe", "kubernetes", "--once", "--server", "http://127.0.0.1:9", environment=environment)
    assert done.returncode == 1
    assert "could not look" in done.stderr
