"""ActiveBatch, from outside: ``rota observe activebatch`` looks at the instances of its plans and jobs, by its REST API.

Seen: each instance of a plan, or of a job outside of plans, is a run of the workflow that its path names; jobs and plans in a
plan are tasks of its run; what they wait for; restarts as attempts; exit codes.

ActiveBatch is a closed product. This is written from its documentation ("Instance States", "View Instance History") and from what
a public client of its REST API sends and gets, and tested against a stand-in written from these.
"""

from __future__ import annotations

import argparse
import os
import time
import urllib.error
from typing import Any, Collection, Iterator

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota_integrations.activebatch.instances import Instance, plan_of, read
from rota_integrations.following import NOT_UNDERSTOOD, add_since, puzzled
from rota_integrations.states import table_of
from rota_integrations.web import address, ask

_PAGE = 100
_OVERLAP_NS = 3600 * 10**9  # what an instance is listed by is not documented: creation, or begin of execution


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, which objects, and how far back."""
    where = os.environ.get("ACTIVEBATCH_URL", "https://localhost/activebatch/api/v1")
    about = "of its REST API (ACTIVEBATCH_URL); ACTIVEBATCH_USER and _PASSWORD log in"
    parser.add_argument("--url", default=where, type=address("https://localhost/activebatch/api/v1"), help=about)
    parser.add_argument(
        "--scheduler", default=os.environ.get("ACTIVEBATCH_SCHEDULER", "localhost"), help="the job scheduler's host"
    )
    parser.add_argument("--object", action="append", metavar="PATH", help="a job, plan or folder; may be repeated. Else all: /")
    add_since(parser)


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the objects that these options name."""
    user, password = os.environ.get("ACTIVEBATCH_USER", ""), os.environ.get("ACTIVEBATCH_PASSWORD", "")
    api = Api(options.url, {"username": user, "password": password, "jobScheduler": options.scheduler})
    return Follower(api, " ".join((options.url, options.scheduler)), options.object or ["/"], options.since)


class Api:
    """The REST API.

    Args:
        url: up to and with the version: ``https://HOST/activebatch/api/v1``.
        login: what is sent to ``/login``.
    """

    def __init__(self, url: str, login: dict[str, str]) -> None:
        self._url, self._login, self._token = url.rstrip("/"), login, ""

    def instances(self, path: str, since_ns: int) -> Iterator[dict[str, Any]]:
        """All of an object and what is in it since then, the oldest first."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since_ns // 10**9))
        number = 1
        while True:
            wanted = {"templateId": path, "startDate": since, "pageSize": _PAGE, "pageIndex": number, "oldestFirst": "true"}
            page = self._ask("/instances", wanted) or []
            yield from page
            if len(page) < _PAGE:
                return
            number += 1

    def _ask(self, path: str, query: dict[str, object]) -> Any:
        if not self._token:
            self._get_token()
        try:
            return ask(self._url + path, query, headers={"Authorization": "Bearer " + self._token})
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        self._get_token()  # the last one is too old
        return ask(self._url + path, query, headers={"Authorization": "Bearer " + self._token})

    def _get_token(self) -> None:
        answer = ask(self._url + "/login", content={**self._login, "validFor": "000.01:00:00"})
        if not isinstance(answer, dict) or not answer.get("token"):
            raise ValueError(
                "the login of %s is answered with no token. Set ACTIVEBATCH_USER, _PASSWORD" % self._login["username"]
            )
        self._token = str(answer["token"])


class Follower:
    """Looks at instances.

    Args:
        api: asks ActiveBatch.
        place: its address and scheduler, which instances are named by.
        paths: of objects.
        since_seconds: how far back the first look goes.
    """

    def __init__(self, api: Api, place: str, paths: list[str], since_seconds: float) -> None:
        self.where = " ".join((place, *sorted(paths)))
        self._api, self._place, self._paths, self._since_seconds = api, place, paths, since_seconds
        self._source, self._states = Source("activebatch"), table_of("activebatch")

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: ``since`` when instances count (Unix time, ns), and of each of them by id the word that was ``told``.

        Raises:
            OSError: ActiveBatch does not answer, or refuses.
            ValueError: it answers with something else.
        """
        now_ns = time.time_ns()
        since_ns = memory.setdefault("since", now_ns - int(self._since_seconds * 10**9))
        told: dict[str, str] = memory.setdefault("told", {})
        found = {each.number: each for each in self._listed(since_ns) if each.number}  # 0: planned, not made yet
        for each in found.values():
            before = told.get(str(each.number))
            if each.now_word != before:
                self._tell(each, plan_of(each, found.values()), now_ns, is_known=before is not None)
        memory["told"] = {str(number): each.now_word for number, each in found.items()}
        memory["since"] = self._next_since(since_ns, found.values())

    def _listed(self, since_ns: int) -> Iterator[Instance]:
        for path in self._paths:
            for each in self._api.instances(path, since_ns):
                try:
                    yield read(each)
                except NOT_UNDERSTOOD as error:
                    puzzled("activebatch", "an instance in %s" % path, error)

    def _next_since(self, since_ns: int, found: Collection[Instance]) -> int:
        """As late as all that is open, and plans of what is, are in the list again."""
        is_open = [each.created_ns for each in found if each.state(self._states).name not in TERMINAL and each.created_ns]
        newest = max((each.created_ns or since_ns for each in found), default=since_ns)
        oldest: int = min([newest, *is_open])
        return max(since_ns, oldest - _OVERLAP_NS)

    def _tell(self, instance: Instance, plan: Instance | None, now_ns: int, *, is_known: bool) -> None:
        state = instance.state(self._states)
        at_ns = instance.since_ns(state, now_ns, is_known=is_known)
        if plan is None:
            if state.name in TERMINAL and instance.begun_ns is not None:
                self._tell_run(instance, "running", instance.begun_ns, "executing", None)
            self._tell_run(instance, state.name, at_ns, state.raw, state.reason)
            return
        key, task_path = self._key(plan), instance.path[len(plan.path) + 1 :]
        for attempt in range(1, instance.restarts + 1):  # they are not dated; it was restarted since they failed
            self._source.task(
                plan.path, key, instance.name, "failed", instance.restarted_ns or at_ns, instance=task_path.rpartition("/")[0],
                raw_state="restarted", attempt=attempt, facts={"instance": task_path.rpartition("/")[0]},
            )  # fmt: skip
        self._source.task(
            plan.path, key, instance.name, state.name, at_ns, instance=task_path.rpartition("/")[0], raw_state=state.raw,
            reason=state.reason, attempt=instance.restarts + 1, started_ns=instance.begun_ns,
            error=instance.error if state.name == "failed" else None,
            facts={"instance": task_path.rpartition("/")[0], "activebatch.instance.id": instance.number},
        )  # fmt: skip

    def _tell_run(self, instance: Instance, state: str, at_ns: int, raw: str, reason: str | None) -> None:
        facts = {"activebatch.instance.id": instance.number, "activebatch.queue": instance.queue or None}
        self._source.run(
            instance.path, self._key(instance), state, at_ns, raw_state=raw, reason=reason, attempt=instance.restarts + 1,
            started_ns=instance.begun_ns, exit_code=None if state == "running" or instance.is_plan else instance.exit_code,
            error=instance.error if state == "failed" else None, facts=facts,
        )  # fmt: skip

    def _key(self, instance: Instance) -> tuple[str, str]:
        return self._place, str(instance.number)
