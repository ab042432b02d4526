"""What Dagster's webserver tells that its database does not: the schedules of all code that is loaded there, with their cron
expressions, whether they have made a run or not.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from rota.wire import names
from rota_integrations import web

_QUERY = """
{ repositoriesOrError { __typename
    ... on RepositoryConnection { nodes { schedules {
        pipelineName cronSchedule executionTimezone scheduleState { status } } } }
    ... on PythonError { message } } }
"""


class Webserver:
    """A webserver.

    Args:
        url: its address: ``http://127.0.0.1:3000``.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/graphql"

    def schedules(self) -> dict[str, dict[str, str]]:
        """By job, what is declared of it: nothing where several schedules that are on make runs of it, or none.

        Raises:
            OSError: it cannot be reached.
            ValueError: what it answers is no list of schedules.
        """
        found: dict[str, list[Mapping[str, Any]]] = {}
        for schedule in self._read():
            running = found.setdefault(schedule["pipelineName"], [])
            if schedule["scheduleState"]["status"] == "RUNNING":
                running.append(schedule)
        return {job: declared(*running) for job, running in found.items()}

    def _read(self) -> Iterator[Mapping[str, Any]]:
        answer = web.ask(self._url, content={"query": _QUERY})
        listed = answer["data"]["repositoriesOrError"] if answer.get("data") else answer
        if "nodes" not in listed:
            raise ValueError("%s answers %s" % (self._url, listed.get("message") or listed.get("errors") or listed))
        for repository in listed["nodes"]:
            yield from repository["schedules"]


def declared(*schedules: Mapping[str, Any]) -> dict[str, str]:
    """What a job declares of its schedules that are on; nothing unless there is one, with one cron expression.

    Args:
        schedules: as the webserver has them.
    """
    if len(schedules) != 1 or _is_list(schedules[0]["cronSchedule"]):
        return {}
    return {
        names.SCHEDULE_SPEC: schedules[0]["cronSchedule"], names.SCHEDULE_TZ: schedules[0]["executionTimezone"] or "UTC",
    }  # fmt: skip


def _is_list(cron: str) -> bool:
    """Several expressions are one text there: a list of Python's."""
    return cron.startswith("[")
