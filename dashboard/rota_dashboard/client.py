"""The collector's HTTP API, as far as the pages use it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pyarrow as pa

from rota.wire import tls
from rota_dashboard import config

Item = dict[str, Any]

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_ARROW = "application/vnd.apache.arrow.stream"
_YAML = "application/yaml"
_PAGE = 1000  # the most items that one page holds


class CollectorAway(Exception):
    """Nobody answered at the collector's address. ``hint``: what to do, when it is about TLS; else empty."""

    def __init__(self, address: str, why: object, hint: str = "") -> None:
        super().__init__(f"{address}: {why}")
        self.address, self.hint = address, hint


class CollectorRefused(Exception):
    """The collector answered with an error; the message is its own, with its hint."""


class KeyNeeded(CollectorRefused):
    """It wants a key, or another one."""


class NotThere(CollectorRefused):
    """It knows nothing by that name."""


class Changed(CollectorRefused):
    """It is another one by now."""


_REFUSALS = {401: KeyNeeded, 404: NotThere, 409: Changed}


@lru_cache(maxsize=4)
def _pool(base_url: str) -> httpx.Client:
    """The connections to a collector, which all who look at it share. Raises ValueError."""
    is_here = (urlsplit(base_url).hostname or "") in config.LOOPBACK  # no proxy leads to this machine
    return httpx.Client(base_url=base_url, timeout=_TIMEOUT, trust_env=not is_here, verify=config.client_tls(base_url))


class Collector:
    """One collector, asked with one key. ``http`` replaces the network in tests."""

    def __init__(self, base_url: str, token: str = "", http: httpx.Client | None = None) -> None:
        self.base_url, self.token = base_url, token
        self._headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
        self._http = http

    # -- reading ------------------------------------------------------------------------------------------------------

    def me(self) -> Item:
        """Who asks, and what they may: ``name``, ``scope``, ``is_open``."""
        return self._item("/me")

    def workflows(self) -> pa.Table:
        """Every workflow, as columns."""
        return self._columns("/workflows")

    def workflow(self, name: str, below: str = "", **asked: Any) -> Item:
        """A workflow, or what is ``below`` it (``/policy``, ``/days``, …)."""
        return self._item(f"/workflows/{_segment(name)}{below}", **asked)

    def runs(self, **asked: Any) -> Item:
        """A page of runs, the last started first."""
        return self._page("/runs", **asked)

    def runs_during(self, since: str, until: str, **asked: Any) -> pa.Table:
        """The runs that were under way at any time in [since, until), as columns."""
        return self._columns("/runs", during=True, since=since, until=until, **asked)

    def run(self, run_id: str, below: str = "", **asked: Any) -> Item:
        """A run, or what is ``below`` it (``/logs``, ``/work``, …)."""
        return self._item(f"/runs/{_segment(run_id)}{below}", **asked)

    def spans(self, run_id: str) -> pa.Table:
        """The spans of a run, as columns."""
        return self._columns(f"/runs/{_segment(run_id)}/spans")

    def activity(self, **asked: Any) -> list[Item]:
        """How many runs ended how, over time."""
        return self._list("/activity", **asked)

    def slots(self, **asked: Any) -> list[Item]:
        """Slots, the last due first."""
        return self._list("/slots", **asked)

    def incidents(self, **asked: Any) -> list[Item]:
        """Incidents, the last opened first, page after page."""
        return list(self._pages("/incidents", **asked))

    def incident_page(self, **asked: Any) -> Item:
        """A page of incidents."""
        return self._page("/incidents", **asked)

    def alerts(self, **asked: Any) -> list[Item]:
        """What was to be sent, the newest first."""
        return self._list("/alerts", **asked)

    def incident(self, incident_id: str, below: str = "") -> Item:
        """An incident, or what is ``below`` it."""
        return self._item(f"/incidents/{_segment(incident_id)}{below}")

    def advice(self) -> Item:
        """What each level would have changed, of all workflows of which there is something to say."""
        return self._page("/advice")

    def advice_for(self, name: str) -> Item:
        """The same of one, with the runs that tell it and the documents that lead to each level."""
        return self._item(f"/advice/{_segment(name)}")

    def approvals(self, **asked: Any) -> Item:
        """A page of approvals, the last asked first."""
        return self._page("/approvals", **asked)

    def leases(self, scope: str) -> list[Item]:
        """Who holds some of a capacity now."""
        return self._list("/leases", scope=scope)

    def waiting(self, workflow: str) -> list[Item]:
        """Who waits for permission now."""
        return self._list("/waiting", workflow=workflow)

    # -- acting -------------------------------------------------------------------------------------------------------

    def act(self, path: str, **said: Any) -> Item:
        """POST to ``path`` below ``/api/v1`` what is said; what is None in it is left out."""
        return self._object(path, self._call("POST", path, json=_given(said)))

    def examined(self, text: str, workflow: str) -> Item:
        """The policy document that a text (YAML) holds, and what is wrong with it. Raises CollectorRefused: it is unreadable."""
        headers, path = {"Content-Type": _YAML}, "/policies/check"
        answer = self._call("POST", path, params={"workflow": workflow}, content=text.encode(), headers=headers)
        items: list[Item] = self._object(path, answer)["items"]
        if len(items) != 1:
            raise CollectorRefused(f"The text holds {len(items)} documents. Write one.")
        return items[0]

    def tested(self, document: Item, workflow: str) -> Item:
        """What a policy document would have changed for the runs of the last 90 days."""
        answer = self._call("POST", "/policies/test", json={**document, "workflow": workflow})
        items: list[Item] = self._object("/policies/test", answer)["items"]
        return items[0]

    def store(self, workflow: str, text: str, **said: Any) -> Item:
        """Store the policy in a text (YAML); ``said``: ``author``, ``reason``, ``if_version``. Raises Changed."""
        path = f"/workflows/{_segment(workflow)}/policy"
        headers = {"Content-Type": _YAML}
        return self._object(path, self._call("PUT", path, params=_given(said), content=text.encode(), headers=headers))

    # -- how ----------------------------------------------------------------------------------------------------------

    def _item(self, path: str, **asked: Any) -> Item:
        return self._object(path, self._call("GET", path, params=_given(asked)))

    def _object(self, path: str, answer: httpx.Response) -> Item:
        try:
            found = answer.json()
        except ValueError as error:
            raise self._foreign(path) from error
        if not isinstance(found, dict):
            raise self._foreign(path)
        return found

    def _page(self, path: str, **asked: Any) -> Item:
        found = self._item(path, **asked)
        if "items" not in found:
            raise self._foreign(path)
        return found

    def _list(self, path: str, **asked: Any) -> list[Item]:
        items: list[Item] = self._page(path, **asked)["items"]
        return items

    def _pages(self, path: str, **asked: Any) -> Iterator[Item]:
        cursor = None
        while True:
            page = self._page(path, limit=_PAGE, cursor=cursor, **asked)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return

    def _columns(self, path: str, **asked: Any) -> pa.Table:
        answer = self._call("GET", path, params=_given(asked), headers={"Accept": _ARROW})
        try:
            return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
        except (pa.ArrowInvalid, OSError) as error:  # OSError: it ends too early
            raise self._foreign(path) from error

    def _call(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {**self._headers, **how.pop("headers", {})}
        try:
            answer = self._client().request(method, f"/api/v1{path}", headers=headers, **how)
        except httpx.TransportError as error:
            raise self._away(str(error)) from error
        except httpx.DecodingError as error:
            raise self._foreign(path) from error
        if answer.is_success:
            return answer
        raise self._refusal(path, answer)

    def _client(self) -> httpx.Client:
        try:
            return self._http or _pool(self.base_url)
        except ValueError as error:
            raise CollectorAway(self.base_url, "it cannot be asked", str(error)) from error

    def _away(self, why: str) -> CollectorAway:
        hint = tls.next_step(self.base_url, why, tls.files(os.environ)[1])
        if hint and self.base_url.startswith("https:"):
            _pool.cache_clear()  # a certificate may have been renewed
        return CollectorAway(self.base_url, tls.words(why), hint)

    def _refusal(self, path: str, answer: httpx.Response) -> CollectorRefused:
        try:
            error = answer.json()["error"]
            text = f"{error['message']}. {error.get('hint') or ''}".strip(" .") + "."
        except (ValueError, KeyError, TypeError):
            return self._foreign(path)
        return _REFUSALS.get(answer.status_code, CollectorRefused)(text)

    def _foreign(self, path: str) -> CollectorRefused:
        return CollectorRefused(
            f"{self.base_url}/api/v1{path} answered, and not as a rota collector does. Set ROTA_ENDPOINT to one."
        )


def _segment(name: str) -> str:
    """A name as one part of a path. Raises NotThere for what would be another path."""
    if name in ("", ".", ".."):
        raise NotThere(f"There is nothing by the name of “{name}”." if name else "The address names nothing.")
    return quote(name, safe="")


def _given(asked: Item) -> Item:
    return {name: value for name, value in asked.items() if value is not None}
