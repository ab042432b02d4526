"""Keeps ``$ROTA_HOME/policy/`` of every home that an agent serves as the collector has it: a third thread.

The documents of those workflows whose policy asks something of a host, one file each, written beside and renamed; and the
number under which the collector knows that set, in ``.version``. A workflow that asks no more has no file any more.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Iterable

from rota import _config
from rota._spool import FOREIGN_MARK, REFUSED_SECONDS, is_stale
from rota.agent.backoff import Backoff
from rota.agent.news import News
from rota.agent.once import leave_mark
from rota.agent.raw import opener
from rota.agent.target import target
from rota.control.document import version_of, write
from rota.wire.names import COLLECTOR_HEADER, HTTP_PORT_HEADER, POLICY_HEADER

ASK_SECONDS = 3.0  # between two looks
FOREIGN_SECONDS = 60.0  # ... where it is no collector of ours that answers
_LEAST_SECONDS = 0.1
_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 32 << 20
_PATH = "/api/v1/policies/asking"


class Keeping(threading.Thread):
    """Asks until stopped.

    Args:
        spools: paths of those that are served; the agent may add some. A home is the directory above.
        report: takes one line of text for people.
        ask_seconds: how often to look, where nobody tells when there is news.
        cancel: called with (run id, why) of each run that is to end.
    """

    def __init__(
        self, spools: Iterable[str], report: Callable[[str], None], ask_seconds: float = ASK_SECONDS,
        cancel: Callable[[str, str], None] = lambda _run_id, _why: None,
    ) -> None:  # fmt: skip
        super().__init__(name="rota-agent-policies", daemon=True)
        self._spools, self._report, self._ask_seconds = spools, report, ask_seconds
        self._stopping, self._backoff = threading.Event(), Backoff()
        self._way: Way | None = None
        self._news, self._no_news_until = News(cancel), 0.0  # monotonic

    def run(self) -> None:
        """Look again and again; less often while nobody answers, and at once when there is news."""
        wait_seconds = self.look()
        while not self._stopping.wait(_LEAST_SECONDS if self._hears() else wait_seconds):
            wait_seconds = self.look()

    def _hears(self) -> bool:
        """Wait for news; False: nobody told any, or that there is none."""
        homes = [os.path.dirname(spool) for spool in list(self._spools)]
        if self._way is None or self._way.is_grpc or self._backoff.failures or time.monotonic() < self._no_news_until:
            return False
        try:
            version = version_of(homes[0]) if homes else None
            tells = self._news.wait(self._way.goal._replace(url=self._way.news_url), version)
        except Exception:
            return False  # the next look reports it
        if not tells:  # a collector of an earlier version, until it is another one
            self._no_news_until = time.monotonic() + FOREIGN_SECONDS
        return tells

    def stop(self) -> None:
        """End soon: a request under way is not waited for."""
        self._stopping.set()

    def look(self) -> float:
        """One look for each home; how long to wait before the next, in seconds. Never raises."""
        try:
            self._way = self._way or Way()
            for spool in list(self._spools):
                if not sync(os.path.dirname(spool), self._way):
                    self._way = None
                    return FOREIGN_SECONDS
        except Exception as error:
            self._way = None  # a certificate may have been renewed
            if not self._backoff.failures:
                self._report("policies are not renewed: %s" % error)
            return max(self._ask_seconds, self._backoff.next_seconds())
        self._backoff.reset()
        return self._ask_seconds


class Way:
    """How the collector is reached, as the environment says when this is made: with TLS it costs some 40 ms to find out."""

    def __init__(self) -> None:
        self.goal = target("logs")
        self.is_grpc = self.goal.protocol == "grpc"
        self._url, self.opener = _config.endpoint(), opener(self.goal)  # with the certificates that everything else goes with
        self.news_url = self._url + "/api/v1/news"  # over gRPC there is none

    def asking(self, known: int) -> str | None:
        """The address of the policies that ask; empty: they are the ``known`` ones. None: who answers has none. Over gRPC its
        answers tell.

        Raises:
            OSError, ValueError: nobody answers, or what came is not understood.
        """
        if not self.is_grpc:
            return "%s%s?known=%d" % (self._url, _PATH, known)
        from rota.agent import by_grpc

        told = by_grpc.told(self.goal, _TIMEOUT_SECONDS)
        port, number = told.get(HTTP_PORT_HEADER.lower(), ""), told.get(POLICY_HEADER.lower(), "")
        if not port or not number:
            return None
        return "" if int(number) == known else "%s%s?known=%d" % (by_grpc.api_url(self.goal, port), _PATH, known)


def sync(home: str, way: Way) -> bool:
    """Bring one home up to date; False when who answers is no rota collector, or one that knows no policies.

    Raises:
        OSError, ValueError: nobody answers, what came is not understood, or the disk does not take it.
    """
    url = way.asking(version_of(home))
    if not url:
        return url is not None
    found = _fetch(way, url)
    if found is None:
        return False
    if found["items"] is not None:
        write(home, int(found["version"]), found["items"])
    return True


def renew(home: str, say: Callable[[str], None]) -> None:
    """For a host without a resident agent: bring its policies up to date, once. Who could not tell them is not asked again for an
    hour. Never raises.
    """
    spool = os.path.join(home, "spool")
    try:
        if is_stale(spool + FOREIGN_MARK, REFUSED_SECONDS) and not sync(home, Way()):
            leave_mark(spool, FOREIGN_MARK)
    except Exception as error:
        say("policies are not renewed: %s" % error)


def _fetch(way: Way, url: str) -> dict[str, Any] | None:
    try:
        with way.opener.open(urllib.request.Request(url, headers=_config.headers()), timeout=_TIMEOUT_SECONDS) as answer:
            if COLLECTOR_HEADER not in answer.headers:
                return None
            found = json.loads(answer.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            if COLLECTOR_HEADER not in error.headers or error.code == 404:
                return None
            raise
    if isinstance(found, dict) and isinstance(found.get("items"), (dict, type(None))):
        return found
    raise ValueError("%s answered what is no set of policies: %.80r" % (url, found))
