"""Spool lines as they are, over HTTP, to a rota collector: no decoding, no re-encoding, the standard library only."""

from __future__ import annotations

import gzip
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Callable, NamedTuple, Sequence

from rota._https import Https
from rota.agent.answer import Answer, NotRota, Unavailable
from rota.agent.target import Target
from rota.errors import ConfigError
from rota.wire import tls
from rota.wire.events import joined
from rota.wire.names import COLLECTOR_HEADER

_REFUSED = (400, 413, 422)
_ANSWER_BYTES = 64 * 1024
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


class _Response(NamedTuple):
    status: int
    headers: Message
    body: bytes


def is_rota(goal: Target) -> bool:
    """Whether the server at the target says that it is a rota collector. An empty request is valid OTLP, and harmless elsewhere.

    Raises:
        Unavailable: nobody answers, or it is too busy to say.
    """
    response = _post(goal, b"{}")
    if COLLECTOR_HEADER in response.headers:
        return True
    if response.status in (429, 502, 503, 504):
        raise Unavailable("%s answered %d" % (goal.url, response.status), _retry_after(response.headers))
    return False


def send(goal: Target, lines: Sequence[bytes]) -> Answer:
    """Post the lines as one request.

    Raises:
        NotRota: who answers is not rota (any more): its 200 would be no promise.
        Unavailable: not accepted now.
    """
    response = _post(goal, joined(list(lines)))
    if COLLECTOR_HEADER not in response.headers:
        raise NotRota("%s answered %d, and not as a rota collector" % (goal.url, response.status))
    if response.status in _REFUSED:
        return Answer.REFUSED
    if response.status != 200:
        raise Unavailable("%s answered %d" % (goal.url, response.status), _retry_after(response.headers))
    return Answer.REFUSED if _rejected(response.body) else Answer.ACCEPTED


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, whose 200 says nothing about our data."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(goal: Target, body: bytes) -> _Response:
    headers = {"Content-Type": "application/json", **goal.headers}
    if goal.compression in _COMPRESS:
        body, headers["Content-Encoding"] = _COMPRESS[goal.compression](body), goal.compression
    try:
        request = urllib.request.Request(goal.url, body, headers)
        with opener(goal).open(request, timeout=goal.timeout_seconds) as answer:
            return _Response(answer.status, answer.headers, answer.read(_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _Response(error.code, error.headers, b"")
    except (OSError, ValueError, http.client.HTTPException, ConfigError) as error:
        raise Unavailable("cannot reach %s: %s" % (goal.url, _why(goal, error))) from error


def opener(goal: Target) -> urllib.request.OpenerDirector:
    """What opens the target's address. Honours ``https_proxy`` and its like, but for this machine itself."""
    host = urllib.parse.urlsplit(goal.url).hostname or ""
    is_here = host in ("localhost", "::1") or host.startswith("127.")
    made = urllib.request.OpenerDirector()
    for part in (
        urllib.request.ProxyHandler({} if is_here else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _NoRedirect(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        Https(goal.certificate, goal.client_certificate, goal.client_key),
    ):
        made.add_handler(part)
    return made


def _why(goal: Target, error: Exception) -> str:
    said = tls.reason(error)
    return ". ".join(filter(None, (said, tls.next_step(goal.url, said, goal.client_certificate))))


def _retry_after(headers: Message) -> float:
    """In seconds; 0 when nothing was asked. It is a number of them, or a date (RFC 9110)."""
    asked = headers.get("Retry-After") or "0"
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _rejected(body: bytes) -> bool:
    """Whether the answer counts rejected records (OTLP partial success)."""
    try:
        partial = json.loads(body or b"{}").get("partialSuccess") or {}
        return any(int(partial.get(key, 0)) > 0 for key in ("rejectedLogRecords", "rejectedSpans", "rejectedDataPoints"))
    except (ValueError, TypeError, AttributeError):
        return False
