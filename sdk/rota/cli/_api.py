"""The collector's API, as the commands read it: JSON over ``urllib``, and errors that say what to do."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

from rota import _config
from rota._https import Https
from rota.errors import CollectorError
from rota.wire import tls
from rota.wire.names import COLLECTOR_HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    Item = dict[str, Any]

TIMEOUT_SECONDS = 15.0
PAGE = 1000  # the most that one page may hold
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def get(path: str, **parameters: object) -> Item:
    """The JSON object at ``path`` below ``/api/v1``; parameters that are None are left out. Raises CollectorError."""
    return _call(_with(path, parameters), None)


def post(path: str, content: Item) -> Item:
    """The JSON object that answers ``content``; what is None in it is left out. Raises CollectorError."""
    given = {name: value for name, value in content.items() if value is not None}
    return _call(_with(path, {}), json.dumps(given).encode())


def post_text(path: str, text: bytes, content_type: str, **parameters: object) -> Item:
    """The JSON object that answers a text. Raises CollectorError."""
    return _call(_with(path, parameters), text, content_type)


def put(path: str, content: Item, **parameters: object) -> Item:
    """Store JSON at an endpoint; returns what it answers. Raises CollectorError."""
    return _call(_with(path, parameters), json.dumps(content).encode(), method="PUT")


def delete(path: str) -> Item:
    """The JSON object that answers the removal of what is at ``path``. Raises CollectorError."""
    return _call(_with(path, {}), None, method="DELETE")


def of_workflow(name: str, below: str = "") -> str:
    """The path of a workflow, or of what is below it."""
    return "/workflows/" + urllib.parse.quote(name, safe="") + below


def _with(path: str, parameters: Item) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return "/api/v1" + path + ("?" + urllib.parse.urlencode(given, doseq=True) if given else "")


def items(path: str, limit: int | None = None, **parameters: object) -> Iterator[Item]:
    """The items of a list, page after page, ``limit`` at most."""
    left, cursor = limit, None
    while left is None or left > 0:
        page = get(path, limit=min(left or PAGE, PAGE), cursor=cursor, **parameters)
        yield from page["items"]
        left = None if left is None else left - len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return


def stream(path: str, **parameters: object) -> Iterator[tuple[str, Item]]:
    """The server-sent events at ``path`` as (name, content), until the collector is gone for good. A connection that breaks is
    made anew, and goes on behind the last event.

    Raises:
        CollectorError: it refused, or could not be reached.
    """
    last = ""
    while True:
        try:
            with open_url(
                _config.endpoint() + _with(path, parameters), headers={"Last-Event-ID": last} if last else {}
            ) as answer:
                for event_id, name, data in _events(answer):
                    last = event_id or last
                    if name:
                        yield name, json.loads(data)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503 or not last:
                    raise _refusal(error, _config.endpoint()) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            if not last:
                raise unreachable(_config.endpoint(), error) from None
        time.sleep(1)


def post_stream(path: str, content: Item, silence_seconds: float) -> Any:
    """The open answer, as a file, to ``content``; what is None in it is left out. Raises CollectorError."""
    given = {name: value for name, value in content.items() if value is not None}
    try:
        return open_url(_config.endpoint() + _with(path, {}), json.dumps(given).encode(), silence_seconds)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, _config.endpoint()) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise unreachable(_config.endpoint(), error) from None


def _events(lines: Iterable[bytes]) -> Iterator[tuple[str, str, str]]:
    """(id, name, data) of each event; name and data are empty where there is an id alone."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
        if name or value:
            fields[name] = value
        else:
            yield fields.get("id", ""), fields.get("event", ""), fields.get("data", "")
            fields = {}


def find_run(word: str) -> Item:
    """The run that ``word`` names: ``last``, an id or its beginning, or a workflow, whose last run it is."""
    if word != "last":
        try:
            return get("/runs/" + urllib.parse.quote(word, safe=""))
        except NotFound:
            pass
    found = list(items("/runs", 1, workflow=None if word == "last" else word))
    if not found and word == "last":
        raise CollectorError("there is no run yet")
    if not found:
        raise CollectorError("no run and no workflow is called %r. `rota ls` and `rota runs` list them" % word)
    return get("/runs/" + found[0]["id"])


def open_url(
    url: str, body: bytes | None = None, timeout_seconds: float = TIMEOUT_SECONDS, *, content_type: str = "application/json",
    method: str | None = None, headers: dict[str, str] | None = None,
) -> Any:  # fmt: skip
    """``urlopen`` with headers and certificates of the environment, and no proxy on the way to this machine.

    Raises:
        OSError, ValueError, http.client.HTTPException: there is no answer, or it is an error.
        ConfigError: a certificate cannot be used.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http:// or https:// address")
    request = urllib.request.Request(url, body, {**_config.headers(), **(headers or {})}, method=method)
    if body is not None:
        request.add_header("Content-Type", content_type)
    is_here = urllib.parse.urlsplit(url).hostname in _LOOPBACK
    proxies = urllib.request.ProxyHandler({} if is_here else None)
    opener = urllib.request.build_opener(proxies, Https(*tls.files(os.environ)))
    return opener.open(request, timeout=timeout_seconds)


class NotFound(CollectorError):
    """The collector knows nothing by that name."""


def _call(path: str, body: bytes | None, content_type: str = "application/json", method: str | None = None) -> Item:
    endpoint = _config.endpoint()
    try:
        with open_url(endpoint + path, body, content_type=content_type, method=method) as answer:
            return _content(answer.read(), answer.headers, endpoint)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, endpoint) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise unreachable(endpoint, error) from None


def unreachable(endpoint: str, error: Exception) -> CollectorError:
    """Where, why, and how to get a collector."""
    said = reason_of(error)
    return CollectorError("cannot reach the collector at %s (%s). %s" % (endpoint, said, next_step(endpoint, said)))


def next_step(endpoint: str, said: str) -> str:
    """What to do when ``endpoint`` cannot be reached for a ``reason_of`` that."""
    about_tls = tls.next_step(endpoint, said, tls.files(os.environ)[1])
    return about_tls or "Start one with `rota up`, or set ROTA_ENDPOINT"


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in words."""
    is_slow = isinstance(getattr(error, "reason", error), socket.timeout)
    return "no answer in time" if is_slow else tls.reason(error)


def _content(body: bytes, headers: Any, endpoint: str) -> Item:
    if headers.get(COLLECTOR_HEADER) is None:
        raise _foreign(endpoint)
    content: Item = json.loads(body)
    return content


def _refusal(error: urllib.error.HTTPError, endpoint: str) -> CollectorError:
    if error.headers.get(COLLECTOR_HEADER) is None:
        return _foreign(endpoint)
    try:
        said = json.loads(error.read())["error"]
        text = said["message"] + (". " + said["hint"] if said.get("hint") else "")
    except (ValueError, KeyError, TypeError):
        text = "%s answered %d" % (error.url, error.code)
    return (NotFound if error.code == 404 else CollectorError)(text)


def _foreign(endpoint: str) -> CollectorError:
    return CollectorError(
        "%s answers, but is no rota collector (no %s header). Set ROTA_ENDPOINT, or stop what listens there and start `rota up`"
        % (endpoint, COLLECTOR_HEADER)
    )
