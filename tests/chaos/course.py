"""A run that is retried under a gate, step by step, with others before it and behind it; and somebody who is killed at a step.

The steps are what can be seen from outside. Leases last twenty seconds here: what a dead holder had is free soon, and a
collector is back before that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from collectors import CollectorProcess, clean_environment, until

PATIENCE_SECONDS = 180.0
TTL_SECONDS = 20.0
_SHORT_LEASES = f"import rota.rules.lease\nrota.rules.lease.TTL_SECONDS = {TTL_SECONDS}\n"
_GATE = {"kind": "concurrency", "limit": 1, "scope": "course", "on_unreachable": "wait(10m)"}
_POLICY = {"gates": [_GATE], "retry": {"attempts": 3, "wait": "3s", "on": ["exit:75"]}}
# Arguments: a folder, a name, the attempt that succeeds. It says what it does by files, and goes on when it is told to.
_JOB = """
n=$(cat $1/$2.count 2>/dev/null || echo 0); n=$((n+1)); echo $n > $1/$2.count
echo in $2 >> $1/log; touch $1/$2.runs.$n
while [ ! -e $1/$2.go.$n ]; do sleep 0.05; done
echo out $2 >> $1/log; touch $1/$2.done.$n
[ $n -ge $3 ] || exit 75
"""
BEFORE, MAIN, BEHIND = "before", "main", "behind"
VICTIMS = ("job", "agent", "collector")


class Course:
    """The hosts' processes, and what can be seen of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = folder / "files"
        for each in (self.files, folder / "site", folder / "host"):
            each.mkdir(parents=True)
        (folder / "site/sitecustomize.py").write_text(_SHORT_LEASES)
        path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
        self.collector = CollectorProcess(folder / "server", folder / "collector.log", PYTHONPATH=path)
        self.jobs: dict[str, subprocess.Popen[bytes]] = {}  # the last of each name
        self._all: list[subprocess.Popen[bytes]] = []
        self._agent: subprocess.Popen[bytes] | None = None
        self._renewed_from: str | None = None

    def begin(self) -> None:
        """A collector with the policies, an agent that has them."""
        self.collector.start()
        self.collector.settings["ROTA_HTTP"] = self.collector.addresses["http"]  # the same port again after a kill
        for name in (BEFORE, MAIN, BEHIND):
            self.collector.put(f"/api/v1/workflows/{name}/policy", _POLICY)
        self.environment = clean_environment(
            ROTA_HOME=str(self._folder / "host"), ROTA_ENDPOINT=self.collector.url, ROTA_DETACH="off"
        )
        self.start_agent()
        self._until((self._folder / "host/policy" / f"{BEHIND}.json").exists, "the policies to come")

    def start_agent(self) -> None:
        """Resident, on the host of all jobs."""
        with (self._folder / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen([sys.executable, "-m", "rota", "agent"], env=self.environment, stderr=log)

    def start(self, name: str, succeeds: int = 1) -> None:
        """A job, in a session of its own."""
        command = ["sh", "-c", _JOB, "job", str(self.files), name, str(succeeds)]
        words = [sys.executable, "-m", "rota", "exec", "--name", name, "--", *command]
        self.jobs[name] = subprocess.Popen(words, env=self.environment, start_new_session=True, stderr=subprocess.PIPE)
        self._all.append(self.jobs[name])

    def tell(self, *names: str) -> None:
        """Let attempts end: ``main.1``."""
        for name in names:
            job, _, attempt = name.partition(".")
            (self.files / f"{job}.go.{attempt}").touch()

    def kill(self, victim: str) -> None:
        """SIGKILL. Who is a service is started again, as its supervisor would."""
        if victim == "job":
            os.killpg(self.jobs[MAIN].pid, signal.SIGKILL)
            self.jobs[MAIN].wait()
        elif victim == "agent":
            assert self._agent is not None
            self._agent.kill()
            self._agent.wait()
            self.start_agent()
        else:
            self.collector.kill()
            time.sleep(1)
            self.collector.start()

    def close(self) -> None:
        """Leave nothing behind."""
        for job in self._all:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()
        self.collector.close()

    # -- what can be seen -------------------------------------------------------------------------------------------------

    def wait_for(self, step: str) -> None:
        """Until the main run is there."""
        self._until(functools.partial(STEPS[step], self), f"the step {step!r}")

    def _until(self, true: Callable[[], Any], what: str) -> Any:
        def safely() -> Any:
            with contextlib.suppress(httpx.TransportError):
                return true()
            return None

        return until(safely, what, PATIENCE_SECONDS)

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Its runs, as the collector lists them."""
        return self.collector.item("/runs", workflow=name)["items"]  # type: ignore[no-any-return]

    def is_in(self, *states: str) -> bool:
        """Whether the main run is in one of these states."""
        return any(run["state"] in states for run in self.runs(MAIN))

    def lease(self) -> dict[str, Any] | None:
        """What the main run holds."""
        return next((each for each in self.collector.item("/leases")["items"] if each["workflow"] == MAIN), None)

    def is_renewed(self) -> bool:
        """Whether its lease lasts longer than when it was looked at first."""
        lease = self.lease()
        if lease is None:
            return False
        self._renewed_from = self._renewed_from or lease["expires_at"]
        return bool(lease["expires_at"] > self._renewed_from)

    def ended(self, name: str) -> dict[str, Any]:
        """Its only run once it has ended, as ``rota show`` has it."""
        (run,) = self._until(lambda: [run for run in self.runs(name) if run["ended_at"]], f"the run of {name} to end")
        words = [sys.executable, "-m", "rota", "show", run["id"], "--json"]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def doubled(self) -> list[str]:
        """Facts that are there twice."""
        self._until(self.collector.applied, "the stores to catch up")
        found = []
        # A grant whose answer was lost may expire and be granted once more: the same answer then, at another time.
        decision = "event_id || ' ' || happened_at"
        for table, key in (("run_events", "event_id"), ("decisions", decision), ("spans", "span_id")):
            query = f"SELECT {key} AS key, count(*) AS many FROM {table} GROUP BY ALL HAVING many > 1"
            found += [f"{table}: {row}" for row in self.collector.post("/api/v1/sql", {"query": query}).json()["items"]]
        return found

    def overlaps(self) -> bool:
        """Whether two ever ran at once. A job that was killed says no more that it is out."""
        inside: set[str] = set()
        for line in (self.files / "log").read_text().splitlines():
            what, _, name = line.partition(" ")
            if what == "out":
                inside.discard(name)
                continue
            inside -= {each for each in inside if self.jobs[each].poll() == -signal.SIGKILL}
            if inside:
                return True
            inside.add(name)
        return False

    def seen(self) -> dict[str, Any]:
        """Everything, for whoever looks into it."""
        return {
            "leases": self.collector.item("/leases")["items"],
            "runs": {name: [(run["state"], run["reason"]) for run in self.runs(name)] for name in (BEFORE, MAIN, BEHIND)},
            "jobs": {name: job.poll() for name, job in self.jobs.items()},
            "files": sorted(path.name for path in self.files.iterdir()),
            "said": self.collector.stderr[-500:] + (self._folder / "agent.log").read_text()[-500:],
        }

    def has_file(self, name: str) -> bool:
        """Whether a job said so."""
        return (self.files / name).exists()


STEPS: dict[str, Callable[[Course], bool]] = {
    "asked": lambda course: course.is_in("blocked"),
    "granted": lambda course: course.lease() is not None,
    "attempt 1 runs": lambda course: course.has_file("main.runs.1"),
    "lease renewed": lambda course: course.is_renewed(),
    "attempt 1 fails": lambda course: course.has_file("main.done.1"),
    "waits to retry": lambda course: course.is_in("retry_wait"),
    "attempt 2 runs": lambda course: course.has_file("main.runs.2"),
    "attempt 2 ends": lambda course: course.has_file("main.done.2"),
    "ended": lambda course: course.is_in("succeeded"),
    "released": lambda course: course.is_in("succeeded") and course.lease() is None,
}
_TOLD = {
    "attempt 1 fails": "main.1",
    "waits to retry": "main.1",
    "attempt 2 ends": "main.2",
    "ended": "main.2",
    "released": "main.2",
}
_OVER = ("ended", "released")
CELLS = [(step, victim) for step in STEPS for victim in VICTIMS if not (victim == "job" and step in _OVER)]


def play(folder: Path, step: str, victim: str) -> list[str]:
    """What is wrong after that kill at that step."""
    course = Course(folder)
    try:
        course.begin()
        _lead_to(course, step)
        course.kill(victim)
        course.tell("before.1", "main.1", "main.2", "behind.1")
        return list(_wrong(course, step, victim))
    except AssertionError as error:
        return [f"{victim} at {step!r}: {error}; {course.seen()}"]
    finally:
        course.close()


def _lead_to(course: Course, step: str) -> None:
    """Somebody holds what the main run waits for, and somebody waits behind it."""
    course.start(BEFORE)
    course._until(lambda: course.has_file("before.runs.1"), "the first to run")
    course.start(MAIN, succeeds=2)
    course.wait_for("asked")
    course.start(BEHIND)
    course._until(lambda: course.runs(BEHIND) and course.runs(BEHIND)[0]["state"] == "blocked", "the last to wait")
    if step == "asked":
        return
    course.tell("before.1")
    for each in list(STEPS)[1 : list(STEPS).index(step) + 1]:
        if each in _TOLD:
            course.tell(_TOLD[each])
        if each != "lease renewed" or each == step:  # which takes a while
            course.wait_for(each)


def _wrong(course: Course, step: str, victim: str) -> Iterator[str]:
    where = f"{victim} at {step!r}"
    found = course.ended(MAIN)
    may = {"crashed"} if victim == "job" else {"succeeded"}
    if step == "attempt 2 ends":
        may.add("succeeded")  # it is a matter of milliseconds
    if found["state"] not in may:
        yield f"{where}: the run is {found['state']} ({found['reason']}), and not {may}"
    if found["state"] == "succeeded":  # spans may come after the end that they tell of
        course._until(lambda: [each["attempt"] for each in course.ended(MAIN)["attempts"]] == [1, 2], "both attempts")
    for name in (BEFORE, BEHIND):
        other = course.ended(name)
        if other["state"] != "succeeded":
            yield f"{where}: the run {name} is {other['state']} ({other['reason']})"
        if len(course.runs(name)) != 1:
            yield f"{where}: {name} has {len(course.runs(name))} runs"
    if course.overlaps():
        yield f"{where}: two ran at once: {(course.files / 'log').read_text().split()}"
    yield from (f"{where}: twice: {each}" for each in course.doubled())
    course._until(lambda: not course.collector.item("/leases")["items"], f"{where}: all leases to be over")
    course.tell("before.2")
    course.start(BEFORE)
    if course.jobs[BEFORE].wait(PATIENCE_SECONDS):
        yield f"{where}: afterwards nobody may run: {course.jobs[BEFORE].communicate()}"
