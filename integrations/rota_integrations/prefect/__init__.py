"""Prefect, from outside: ``rota observe prefect`` looks at the flow runs of a server, or of a workspace of Prefect Cloud.

Seen: each flow run is a run of the workflow of the flow's name; task runs are its tasks, with attempts and errors; what was not
run since another task failed; flows called by flows; the schedule of a deployment, and the slot that a run is for. Parameters and
results are not asked for.

Prefect's own package is not needed for it, any CPython from 3.8 does. Its events tell nothing that its REST API does not, so the
runs themselves are asked for; but they tell when it is worth asking. Tested with 3.9.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from typing import Any, Iterator, Mapping

from rota.foreign import Source
from rota.wire import names
from rota_integrations.following import NOT_UNDERSTOOD, Seldom, add_since, puzzled
from rota_integrations.prefect.bell import Bell
from rota_integrations.prefect.server import Server, headers_of, token_of, unix_ns, written
from rota_integrations.prefect.telling import OVER, Run, tell_gone
from rota_integrations.states import table_of
from rota_integrations.web import address

_OLDEST = "3.0"
_OVERLAP_NS = 60 * 10**9  # what ended so long before the newest end may only now be in the server's database
_BELIEVED_SECONDS = 60.0  # how long deployments that were read are
_MANY = 100  # ids in a question
_ACTIVE = ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and how far back."""
    url = os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    about = "of the API (PREFECT_API_URL); PREFECT_API_KEY or _AUTH_STRING say who asks"
    parser.add_argument("--url", default=url, type=address("http://127.0.0.1:4200/api"), help=about)
    add_since(parser)


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the server that these options name."""
    bell = Bell(options.url, token_of(os.environ))
    return Follower(Server(options.url, headers_of(os.environ)), options.since, options.url, bell)


class Follower:
    """Looks at flow runs. What it knows of those that are open it reads, and tells, again after a restart.

    Args:
        server: asks Prefect.
        since_seconds: how far back the first look goes; runs that are open are seen however old they are.
        where: tells this place from others that the same host looks at.
        bell: rings when it is worth a look.
    """

    def __init__(self, server: Server, since_seconds: float, where: str = "", bell: Bell | None = None) -> None:
        self.where, self.bell = where, bell
        self._server, self._since_seconds = server, since_seconds
        self._source, self._states = Source("prefect"), table_of("prefect")
        self._runs: dict[str, Run] = {}  # open, or over for a moment only
        self._over_ns: dict[str, int] = {}  # when those ended
        self._flows: dict[str, str] = {}
        self._deployments = Seldom(self._read_deployments, _BELIEVED_SECONDS)
        self._is_checked = False

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: when the ``newest`` end was (Unix time, ns), and by id the runs that are ``open``.

        Raises:
            Later: the server has no time.
            RuntimeError: it is too old.
            OSError: it cannot be reached, or refuses.
        """
        self._check()
        newest_ns = memory.get("newest") or int((time.time() - self._since_seconds) * 1e9)
        found = {run["id"]: run for run in self._changed(newest_ns - _OVERLAP_NS)}
        missing = {run_id: known for run_id, known in memory.get("open", {}).items() if run_id not in found}
        found.update((run["id"], run) for run in self._by_id(list(missing)))
        self._name_flows({run["flow_id"] for run in found.values()})
        for run in found.values():
            self._tell(run)
        self._tell_tasks()
        for run_id in set(missing) - set(found):
            tell_gone(self._source, run_id, missing[run_id], time.time_ns())
            self._runs.pop(run_id, None)
        ends = {run["id"]: unix_ns(run["end_time"]) for run in found.values() if run["state_type"] in OVER and run["end_time"]}
        self._over_ns.update(ends)
        memory["newest"] = max([newest_ns, *ends.values()])
        memory["open"] = {run["id"]: self._runs[run["id"]].known for run in found.values() if run["state_type"] not in OVER}
        self._forget(memory["newest"] - _OVERLAP_NS)

    def schedules(self) -> dict[str, dict[str, str]]:
        """Those of the deployments, by flow."""
        deployments = self._deployments()
        flow_ids = {each["flow_id"] for each in deployments.values()}
        self._name_flows(flow_ids)
        return {self._flows[flow_id]: _schedule_of(flow_id, deployments) for flow_id in flow_ids & set(self._flows)}

    def _check(self) -> None:
        """Prefect Cloud does not say what version it is."""
        if not self._is_checked:
            version = self._server.ask("/admin/version")
            if isinstance(version, str) and version.split(".")[0].isdigit() and int(version.split(".")[0]) < 3:
                raise RuntimeError("%s is Prefect %s, and %s is the oldest that can be observed" % (self.where, version, _OLDEST))
            self._is_checked = True

    # -- which runs ----------------------------------------------------------------------------------------------------

    def _changed(self, since_ns: int) -> Iterator[dict[str, Any]]:
        """Those that are open, those that should be, and those that ended since."""
        now = written(time.time_ns())
        for asked in (
            {"state": {"type": {"any_": _ACTIVE}}},
            {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": now}},
            {"state": {"type": {"any_": list(OVER)}}, "end_time": {"after_": written(since_ns)}},
        ):
            yield from self._server.each("/flow_runs/filter", {"flow_runs": asked, "sort": "EXPECTED_START_TIME_ASC"})

    def _by_id(self, ids: list[str]) -> Iterator[dict[str, Any]]:
        for some in _parts(ids):
            yield from self._server.each("/flow_runs/filter", {"flow_runs": {"id": {"any_": some}}})

    def _forget(self, until_ns: int) -> None:
        for run_id in [run_id for run_id, over_ns in self._over_ns.items() if over_ns < until_ns]:
            del self._over_ns[run_id]
            self._runs.pop(run_id, None)

    # -- one run -------------------------------------------------------------------------------------------------------

    def _tell(self, found: Mapping[str, Any]) -> None:
        run, workflow = self._runs.get(found["id"]), self._flows.get(found["flow_id"], found["flow_id"])
        if run is None:
            run = Run(self._source, self._states, found, workflow, self._parent(found.get("parent_task_run_id")))
            self._runs[run.id] = run
        if run.state_id == found["state_id"]:
            return
        states = self._server.ask("/flow_run_states/?flow_run_id=" + run.id) or []
        deployments, what = self._deployments(), "a run of " + workflow
        if not run.state_id or found["state_type"] in OVER:  # a run that failed says what its tasks said
            with _understood(what):
                run.read(states)
            self._tell_all_tasks(run)
        with _understood(what):
            run.tell(found, states, _schedule_of(found["flow_id"], deployments), _facts(found, deployments))
        run.state_id = found["state_id"]  # last, as a server that fails in between is asked all of it again

    def _parent(self, task_id: str | None) -> str | None:
        task = self._server.ask("/task_runs/" + task_id) if task_id else None
        return task and task["flow_run_id"]

    def _name_flows(self, flow_ids: set[str]) -> None:
        unknown = sorted(flow_ids - set(self._flows))
        for some in _parts(unknown):
            for flow in self._server.each("/flows/filter", {"flows": {"id": {"any_": some}}}):
                self._flows[flow["id"]] = flow["name"]

    def _read_deployments(self) -> dict[str, Any]:
        return {each["id"]: each for each in self._server.each("/deployments/filter", {})}

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _tell_all_tasks(self, run: Run) -> None:
        for task in self._server.each("/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}}):
            self._tell_task(run, task)

    def _tell_tasks(self) -> None:
        """Those that run, and those that ended, the newest first, down to a page with nothing new."""
        for some in _parts(list(self._runs)):
            runs = {"flow_runs": {"id": {"any_": some}}, "sort": "END_TIME_DESC"}
            for types in (["RUNNING", "SCHEDULED", "PAUSED", "CANCELLING"], list(OVER)):
                asked = {**runs, "task_runs": {"state": {"type": {"any_": types}}}}
                for page in self._server.pages("/task_runs/filter", asked):
                    if not sum(self._tell_task(self._runs[task["flow_run_id"]], task) for task in page):
                        break

    def _tell_task(self, run: Run, task: dict[str, Any]) -> bool:
        """Whether it was new."""
        if not run.is_new(task):
            return False
        states = self._states_of(task)
        with _understood("a task of " + run.workflow):
            run.tell_task(task, states)
        return True

    def _states_of(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """Of one that ran once at most, it says itself all that there is to tell."""
        state = task["state"]
        if task["run_count"] > 1 or state is None or state["name"] in ("AwaitingRetry", "Retrying"):
            return self._server.ask("/task_run_states/?task_run_id=" + task["id"]) or []
        if not task["start_time"] or state["type"] == "RUNNING":
            return [state]
        begun = {"id": task["id"] + " begun", "type": "RUNNING", "name": "Running", "timestamp": task["start_time"]}
        return [begun, state]


def _facts(found: Mapping[str, Any], deployments: Mapping[str, Any]) -> dict[str, object]:
    deployment = deployments.get(found.get("deployment_id") or "", {})
    facts = {"run.name": found["name"], "deployment.name": deployment.get("name"), "work_pool.name": found.get("work_pool_name")}
    return {"prefect." + name: value for name, value in facts.items() if value}


def _schedule_of(flow_id: str, deployments: Mapping[str, Any]) -> dict[str, str]:
    """What is declared of a flow: nothing where its deployments have several schedules, as a workflow has one."""
    schedules = [
        each["schedule"]
        for deployment in deployments.values()
        if deployment["flow_id"] == flow_id and not deployment.get("paused")
        for each in deployment.get("schedules", ())
        if each["active"]
    ]
    return declared(schedules[0]) if len(schedules) == 1 else {}


def declared(schedule: Mapping[str, Any]) -> dict[str, str]:
    """What a run declares of a deployment's schedule; nothing where that is not cron's, nor an interval.

    Args:
        schedule: as the API has it.
    """
    cron, every = schedule.get("cron"), schedule.get("interval")
    if cron and len(cron.split()) == 5 and schedule.get("day_or", True):
        return {names.SCHEDULE_SPEC: cron, names.SCHEDULE_TZ: schedule.get("timezone") or "UTC"}
    return {names.SCHEDULE_SPEC: "every %ds" % every} if every and every >= 1 else {}


@contextlib.contextmanager
def _understood(what: str) -> Iterator[None]:
    """What cannot be read is said once, and keeps nobody from seeing the rest."""
    try:
        yield
    except NOT_UNDERSTOOD as error:
        puzzled("prefect", what, error)


def _parts(ids: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(ids), _MANY):
        yield ids[first : first + _MANY]
