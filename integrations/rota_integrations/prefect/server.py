"""Prefect's REST API, asked by the standard library: that of a server of one's own, or of Prefect Cloud."""

from __future__ import annotations

import base64
import calendar
import time
import urllib.error
from datetime import datetime
from typing import Any, Iterator, Mapping

from rota_integrations import web

_PAGE = 200  # the most that a server gives at once, unless it was told otherwise


def unix_ns(text: str) -> int:
    """Of Prefect's times: ISO 8601 with microseconds."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return calendar.timegm(at.utctimetuple()) * 10**9 + at.microsecond * 1000


def written(at_ns: int) -> str:
    """The same the other way round."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ns // 10**9)) + ".%06dZ" % (at_ns // 1000 % 10**6)


def headers_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Who asks, as Prefect's own client says it.

    Args:
        environment: ``PREFECT_API_KEY``, or ``PREFECT_API_AUTH_STRING`` of a server with a password.
    """
    if environment.get("PREFECT_API_KEY"):
        return {"Authorization": "Bearer " + environment["PREFECT_API_KEY"]}
    if environment.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": "Basic " + base64.b64encode(environment["PREFECT_API_AUTH_STRING"].encode()).decode()}
    return {}


def token_of(environment: Mapping[str, str]) -> str | None:
    """The same for its websockets.

    Args:
        environment: see ``headers_of``.
    """
    return environment.get("PREFECT_API_KEY") or environment.get("PREFECT_API_AUTH_STRING") or None


class Server:
    """A server.

    Args:
        url: of its API: ``http://127.0.0.1:4200/api``.
        headers: of every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url, self._headers = url.rstrip("/"), headers

    def ask(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """What a GET is answered with; with a body, a POST. None: there is nothing of that name.

        Raises:
            Later: the server has no time.
            OSError: it refuses, or cannot be reached.
            ValueError: the answer is no JSON: another server is there.
        """
        try:
            return web.ask(self._url + path, content=body, headers=self._headers)
        except urllib.error.HTTPError as error:
            if error.code == 404 and body is None:
                return None
            said = "%s%s answers %d %s" % (self._url, path, error.code, error.reason)
            raise OSError(said + ". Is PREFECT_API_URL the address that ends with /api, and PREFECT_API_KEY right?") from error

    def pages(self, path: str, body: Mapping[str, object]) -> Iterator[list[dict[str, Any]]]:
        """What a filter finds, page by page. Raises what ``ask`` does."""
        offset = 0
        while True:
            found = self.ask(path, {**body, "limit": _PAGE, "offset": offset})
            yield found
            offset += len(found)
            if len(found) < _PAGE:
                return

    def each(self, path: str, body: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """The same one by one."""
        for page in self.pages(path, body):
            yield from page
