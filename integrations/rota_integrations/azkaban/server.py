"""Azkaban's web server, asked as its own pages ask it: the Ajax API, behind a login."""

from __future__ import annotations

from typing import Any, Iterator

from rota_integrations.web import ask

_PAGE = 50


class Refused(Exception):
    """Azkaban answered with an error."""


class Server:
    """Its web server.

    Args:
        url: of its pages: ``https://azkaban.example:8443``.
        user: who logs in; needs to read the projects.
        password: the user's.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url, self._user, self._password = url.rstrip("/"), user, password
        self._session = ""

    def projects(self) -> list[str]:
        """The names of those that the user has a part in."""
        return [each["projectName"] for each in self._ask("/index", ajax="fetchuserprojects")["projects"]]

    def flows(self, project: str) -> list[str]:
        """The ids of a project's flows, without those embedded in others."""
        return [each["flowId"] for each in self._ask("/manager", ajax="fetchprojectflows", project=project)["flows"]]

    def executions(self, project: str, flow: str) -> Iterator[dict[str, Any]]:
        """Of a flow, the newest first, as far as is asked for."""
        start = 0
        while True:
            page = self._ask("/manager", ajax="fetchFlowExecutions", project=project, flow=flow, start=start, length=_PAGE)[
                "executions"
            ]
            yield from page
            if len(page) < _PAGE:
                return
            start += _PAGE

    def running(self, project: str, flow: str) -> list[int]:
        """The ids of a flow's executions that are not over; none where the user may only read, as this takes more."""
        try:
            return list(self._ask("/executor", ajax="getRunning", project=project, flow=flow).get("execIds") or ())
        except Refused:
            return []

    def execution(self, execution: int) -> dict[str, Any]:
        """All of one execution. Raises Refused when there is none of that id."""
        found: dict[str, Any] = self._ask("/executor", ajax="fetchexecflow", execid=execution)
        return found

    def crons(self) -> dict[tuple[str, str], str]:
        """By project and flow, the Quartz expression of its schedule."""
        items = self._ask("/schedule", ajax="fetchSchedules").get("items") or ()
        return {(each["projectname"], each["flowname"]): each["cron"] for each in items if each.get("cron")}

    def _ask(self, path: str, **query: object) -> dict[str, Any]:
        for _ in range(2):
            session = self._session or self._login()
            cookie = {"Cookie": "azkaban.browser.session.id=" + session}
            answer = ask(self._url + path, query, headers=cookie)
            if not isinstance(answer, dict):
                raise Refused("%s %s: %r is no answer of Azkaban" % (path, query["ajax"], answer))
            if "error" not in answer:
                return answer
            if answer["error"] != "session":
                raise Refused("%s %s: %s" % (path, query["ajax"], answer["error"]))
            self._session = ""  # after a day, or a restart
        raise Refused("Azkaban forgets the session of %s as soon as it is made" % self._user)

    def _login(self) -> str:
        answer = ask(self._url + "/", form={"action": "login", "username": self._user, "password": self._password})
        if "session.id" not in answer:
            raise Refused("login of %s: %s. Set AZKABAN_USER and AZKABAN_PASSWORD" % (self._user, answer.get("error", answer)))
        self._session = str(answer["session.id"])
        return self._session
