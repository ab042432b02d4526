"""Azkaban, from outside: ``rota observe azkaban`` looks at the executions of its flows, by the Ajax API that its own pages use.

Seen: each execution of a flow is a run of the workflow ``project/flow``; its jobs are tasks, those of embedded flows too, with
attempts; what was not run since a job that it depends on failed; a kill; with the server's time zone given, schedules.

Written from Azkaban's source (as of its commit 6db7500), and tested against a stand-in that is written from it too.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, Iterator, Mapping

from rota.foreign import Source
from rota.wire import names
from rota_integrations.azkaban.flows import Execution
from rota_integrations.azkaban.server import Refused, Server
from rota_integrations.crons import of_quartz
from rota_integrations.following import NOT_UNDERSTOOD, Seldom, add_since, puzzled, zone
from rota_integrations.states import table_of
from rota_integrations.web import address

_OLD_SECONDS = 300.0  # how long what projects, flows and schedules there are is believed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, which projects, and how far back."""
    where = os.environ.get("AZKABAN_URL", "http://localhost:8081")
    about = "of its pages (AZKABAN_URL); AZKABAN_USER and AZKABAN_PASSWORD log in"
    parser.add_argument("--url", default=where, type=address("http://localhost:8081"), help=about)
    parser.add_argument("--project", action="append", metavar="NAME", help="one project; may be repeated. Else all of the user's")
    add_since(parser)
    parser.add_argument(
        "--tz", type=zone, metavar="ZONE", help="the server's default.timezone.id; without it no schedule is told"
    )


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the projects that these options name."""
    server = Server(options.url, os.environ.get("AZKABAN_USER", "azkaban"), os.environ.get("AZKABAN_PASSWORD", ""))
    return Follower(server, options.url, options.project or [], options.since, options.tz)


class Follower:
    """Looks at flows.

    Args:
        server: asks Azkaban.
        url: its address, which its executions are named by.
        projects: names; none: all that the user has a part in.
        since_seconds: how far back the first look goes; executions that still run are seen however old they are.
        zone: the server's time zone; None: schedules are not told.
    """

    def __init__(self, server: Server, url: str, projects: list[str], since_seconds: float, zone: str | None) -> None:
        self.where = " ".join((url, *sorted(projects)))
        self._server, self._url, self._projects, self._since_seconds, self._zone = server, url, projects, since_seconds, zone
        self._source, self._states = Source("azkaban"), table_of("azkaban")
        self._open: dict[int, Execution] = {}
        self._over: set[int] = set()  # told to their end in a look that was not finished
        self._flows = Seldom(lambda: list(self._read_flows()), _OLD_SECONDS)
        self._crons = Seldom(server.crons, _OLD_SECONDS)

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: of each flow: the id of its ``newest`` execution, and by id those that are ``open``, with Azkaban's word.

        Raises:
            Refused: Azkaban answers with an error.
            OSError: it does not answer.
        """
        flows = {"/".join(each): each for each in self._flows()}
        for name in set(memory) - set(flows):
            del memory[name]
        for name, (project, flow) in flows.items():
            self._look_at(project, flow, memory.setdefault(name, {"newest": -1, "open": {}}))
        self._over.clear()

    def schedules(self) -> dict[str, Mapping[str, str]]:
        """Those of the flows."""
        return {project + "/" + flow: self._declared(project, flow) for project, flow in self._flows()}

    def _read_flows(self) -> Iterator[tuple[str, str]]:
        for project in self._projects or self._server.projects():
            for flow in self._server.flows(project):
                yield project, flow

    def _look_at(self, project: str, flow: str, known: dict[str, Any]) -> None:
        found, newest = {int(number) for number in known["open"]}, known["newest"]
        if newest < 0:
            found.update(self._server.running(project, flow))
        horizon = (time.time() - self._since_seconds) * 1000 if newest < 0 else 0
        for each in self._server.executions(project, flow):
            if each["execId"] <= known["newest"] or each["submitTime"] < horizon:
                break
            found.add(each["execId"])
        for number in sorted(found - self._over):
            self._follow(project, flow, number, known["open"])
        known["newest"] = max([newest, 0, *found])

    def _follow(self, project: str, flow: str, number: int, still_open: dict[str, str]) -> None:
        execution = self._open.get(number)
        if execution is None:
            key, declared = (self._url, str(number)), self._declared(project, flow)
            status = still_open.get(str(number), "")
            execution = Execution(self._source, self._states, project + "/" + flow, key, declared, status)
            self._open[number] = execution
        try:
            found = self._server.execution(number)
        except Refused as error:
            if "Cannot find execution" not in str(error):
                raise
            execution.gone(time.time_ns())
        else:
            try:
                execution.tell(found)
            except NOT_UNDERSTOOD as error:
                puzzled("azkaban", "an execution of %s/%s" % (project, flow), error)
        if execution.is_over:
            del self._open[number]
            still_open.pop(str(number), None)
            self._over.add(number)
        else:
            still_open[str(number)] = execution.status

    def _declared(self, project: str, flow: str) -> Mapping[str, str]:
        if self._zone is None:
            return {}
        spec = of_quartz(self._crons().get((project, flow), ""))
        return {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: self._zone} if spec else {}
