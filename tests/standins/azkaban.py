"""Azkaban's web server, as far as its Ajax API tells of executions: written from its source, as Java cannot be built here.

Names are of classes of github.com/azkaban/azkaban at 6db7500: servlets in ``azkaban-web-server``, in ``azkaban/webapp/servlet``;
``FlowRunner`` in ``azkaban-exec-server``; ``ExecutableNode`` in ``azkaban-common``. Jobs do not run: a test says what they do,
and the flow's states follow from that as in ``FlowRunner``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standins.serving import Answering, serving

# Status.isStatusFinished
FINISHED = ("EXECUTION_STOPPED", "FAILED", "KILLED", "SUCCEEDED", "SKIPPED", "FAILED_SUCCEEDED", "CANCELLED")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Flow:
    """An execution: ``ExecutableFlow``, or, with a parent, an ``ExecutableFlowBase`` that is embedded in it.

    Args:
        name: its id.
        jobs: by id, a list of what each needs before it; or, for an embedded flow, that and its jobs.
        parent: what it is embedded in.
        needs: what it needs there.
    """

    def __init__(self, name: str, jobs: Mapping[str, Any], parent: Flow | None = None, needs: Sequence[str] = ()) -> None:
        self.parent, self.has_failed = parent, False
        self.inner: str = "" if parent is None else parent.inner + name + ":"  # ExecutableNode.getPrintableId
        self.node = new_node(name, self.inner.rstrip(":") or name, "flow", needs)
        self.flows = {job: Flow(job, each[1], self, each[0]) for job, each in jobs.items() if isinstance(each, tuple)}
        single = {job: new_node(job, self.inner + job, "command", each) for job, each in jobs.items() if job not in self.flows}
        self.nodes = {job: self.flows[job].node if job in self.flows else single[job] for job in jobs}
        self.retries: dict[str, int] = {}

    def told(self) -> dict[str, Any]:
        """``ExecutorServlet.getExecutableNodeInfo``."""
        nodes = [self.flows[job].told() if job in self.flows else shown(node) for job, node in self.nodes.items()]
        return {**shown(self.node), "flow": self.node["id"], "flowId": self.node["id"], "nodes": nodes}

    def start(self, *jobs: str) -> None:
        """``FlowRunner.runReadyJob``: of a job, and before it of the flow that it is in."""
        if self.node["status"] == "READY":
            if self.parent:
                self.parent.start()
            becomes(self.node, "RUNNING")
        for job in jobs:
            becomes(self.nodes[job], "RUNNING")

    def finish(self, job: str, status: str) -> None:
        """``FlowRunner.progressGraph``: a failure is retried, or fails the flow, which then cancels what has not begun."""
        node = self.nodes[job]
        becomes(node, status)
        if status == "FAILED" and node["attempt"] < self.retries.get(job, 0):
            reset(node)
            return
        if status == "FAILED":
            self.fail()
        self.go_on()

    def fail(self) -> None:
        """``FlowRunner.setFlowFailed``, with the failure action FINISH_CURRENTLY_RUNNING, which is the usual one."""
        self.has_failed = True
        becomes(self.node, "FAILED_FINISHING")
        if self.parent:
            self.parent.fail()

    def go_on(self) -> None:
        """``FlowRunner.getImpliedStatus`` of each node that is ready, and ``finalizeFlow``."""
        over = self.has_failed or self.node["status"] == "KILLING"
        for node in self.nodes.values():
            ready = all(self.nodes[before]["status"] in FINISHED for before in node.get("in", ()))
            if ready and node["status"] == "DISABLED":
                becomes(node, "SKIPPED")
            elif ready and node["status"] == "READY" and over:
                becomes(node, "CANCELLED")
        if all(node["status"] in FINISHED for node in self.nodes.values()):
            becomes(self.node, {"FAILED_FINISHING": "FAILED", "KILLING": "KILLED"}.get(self.node["status"], "SUCCEEDED"))
            if self.parent:
                self.parent.go_on()

    def kill(self) -> None:
        """``FlowRunner.kill``."""
        becomes(self.node, "KILLING")
        for job, node in self.nodes.items():
            if node["status"] == "RUNNING":
                self.flows[job].kill() if job in self.flows else becomes(node, "KILLED")
        self.go_on()


def becomes(node: dict[str, Any], status: str) -> None:
    """A status, and the times that go with it: those of what is cancelled or skipped are when it was (``cancelNode``)."""
    at = now_ms()
    node.update(status=status, updateTime=at)
    if node["startTime"] < 0 and status not in ("READY", "PREPARING", "QUEUED", "DISPATCHING"):
        node["startTime"] = at
    if status in FINISHED:
        node["endTime"] = at


def reset(node: dict[str, Any]) -> None:
    """``ExecutableNode.resetForRetry``."""
    past = {name: node[name] for name in ("attempt", "status", "startTime", "endTime")}
    node["pastAttempts"] = [*node.get("pastAttempts", []), past]
    node.update(attempt=node["attempt"] + 1, status="READY", startTime=-1, endTime=-1, updateTime=now_ms())


def new_node(name: str, nested: str, kind: str, needs: Sequence[str]) -> dict[str, Any]:
    node = {"id": name, "nestedId": nested, "type": kind, "status": "READY", "attempt": 0}
    return node | {"startTime": -1, "endTime": -1, "updateTime": -1} | ({"in": list(needs)} if needs else {})


def shown(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "pastAttempts" or node["attempt"] > 0}


class Azkaban:
    """Projects, their flows, executions and schedules, and who may log in."""

    def __init__(self) -> None:
        self.projects: dict[str, dict[str, Any]] = {}  # name → flows → jobs
        self.executions: list[tuple[str, Flow, int]] = []  # the id is the place in the list, from 1
        self.crons: dict[tuple[str, str], str] = {}
        self.sessions: set[str] = set()
        self.logins = 0
        self.asked: list[str] = []
        self.busy = 0  # how many of the next requests a proxy in front answers with 503
        self.answered = float("inf")  # ... and how many it lets through before one

    def submit(self, project: str, flow: str) -> tuple[int, Flow]:
        """``executeFlow``: its id, and the flow to play with."""
        found = Flow(flow, self.projects[project][flow])
        self.executions.append((project, found, now_ms()))
        return len(self.executions), found

    # -- the servlets --------------------------------------------------------------------------------------------------

    def get(self, path: str, query: dict[str, str], session: str) -> dict[str, Any]:
        """``LoginAbstractAzkabanServlet.doGet``, then what each servlet makes of ``ajax``."""
        self.asked.append(query.get("ajax", ""))
        if session not in self.sessions:
            return {"error": "session"}
        ways = {"/index": self.index, "/manager": self.manager, "/executor": self.executor, "/schedule": self.schedule}
        return ways[path](query)

    def login(self, form: dict[str, str]) -> dict[str, Any]:
        """``LoginAbstractAzkabanServlet.handleAjaxLoginAction``."""
        if (form.get("username"), form.get("password")) != ("azkaban", "geheim"):
            return {"error": "Incorrect Login. Username/Password not found."}
        self.logins += 1
        self.sessions = {f"session-{self.logins}"}
        return {"status": "success", "session.id": f"session-{self.logins}"}

    def index(self, query: dict[str, str]) -> dict[str, Any]:
        """``ProjectServlet.handleFetchUserProjects``."""
        assert query["ajax"] == "fetchuserprojects"
        return {"projects": [{"projectId": number, "projectName": name} for number, name in enumerate(self.projects, 1)]}

    def manager(self, query: dict[str, str]) -> dict[str, Any]:
        """``ProjectManagerServlet.handleAJAXAction``."""
        project = query["project"]
        if project not in self.projects:
            return {"project": project, "error": f"Project {project} doesn't exist."}
        head = {"project": project, "projectId": [*self.projects].index(project) + 1}
        if query["ajax"] == "fetchprojectflows":
            return {**head, "flows": [{"flowId": flow} for flow in self.projects[project]]}
        assert query["ajax"] == "fetchFlowExecutions"
        start, length = int(query["start"]), int(query["length"])
        found = [
            each for each in enumerate(self.executions, 1) if (each[1][0], each[1][1].node["id"]) == (project, query["flow"])
        ]
        page = [listed(number, *each) for number, each in found[::-1][start : start + length]]
        return {**head, "flow": query["flow"], "total": len(found), "from": start, "length": length, "executions": page}

    def executor(self, query: dict[str, str]) -> dict[str, Any]:
        """``ExecutorServlet.handleAJAXAction``: ajaxGetFlowRunning and ajaxFetchExecutableFlow."""
        if query["ajax"] == "getRunning":
            wanted = (query["project"], query["flow"])
            found = [
                number
                for number, (project, flow, _) in enumerate(self.executions, 1)
                if (project, flow.node["id"]) == wanted and flow.node["status"] not in FINISHED
            ]
            return {"execIds": found} if found else {}
        number = int(query["execid"])
        if not 0 < number <= len(self.executions):
            return {"error": f"Cannot find execution '{number}'"}
        project, flow, submitted = self.executions[number - 1]
        head = {"submitTime": submitted, "submitUser": "azkaban", "execid": number, "projectId": 1, "project": project}
        return {**head, **flow.told(), "type": None}

    def schedule(self, query: dict[str, str]) -> dict[str, Any]:
        """``ScheduleServlet.ajaxFetchSchedules``."""
        assert query["ajax"] == "fetchSchedules"
        items = [
            {
                "scheduleId": number,
                "flowname": flow,
                "projectname": project,
                "time": 0,
                "cron": cron,
                "period": 0,
                "history": False,
            }
            for number, ((project, flow), cron) in enumerate(self.crons.items(), 1)
        ]
        return {"items": items} if items else {}


def listed(number: int, project: str, flow: Flow, submitted: int) -> dict[str, Any]:
    """One of ``ajaxFetchFlowExecutions``."""
    told = {"execId": number, "flowId": flow.node["id"], "projectId": 1, "submitTime": submitted, "submitUser": "azkaban"}
    return told | {name: flow.node[name] for name in ("status", "startTime", "endTime")}


@contextmanager
def serve(azkaban: Azkaban) -> Iterator[str]:
    """Its URL, for the length of a block."""

    class Handler(Answering):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            session = self.headers.get("Cookie", "").partition("azkaban.browser.session.id=")[2] or query.get("session.id", "")
            azkaban.answered -= 1
            if azkaban.busy or azkaban.answered < 0:
                azkaban.busy = max(0, azkaban.busy - 1)
                self.answer(503, {}, {"Retry-After": "7"})
            else:
                self.answer(200, azkaban.get(parts.path, query, session))

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(200, azkaban.login({name: values[0] for name, values in form.items()}))

    with serving(Handler) as url:
        yield url
