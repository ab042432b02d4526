"""What may be said of an HTTP request: method, server, URL without its secrets, status, size."""

from __future__ import annotations

from urllib.parse import urlsplit

from rota.instrument._call import Call, Label, Labels, begin
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._run import Run
    from rota._task import Task

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
_PORTS = {"http": 80, "https": 443}


def start(library: str, place: Run | Task, method: object, url: str) -> Call | None:
    """Open the call of a request; None for what is not HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or parts.hostname is None:
        return None
    verb = method.upper() if isinstance(method, str) and method.upper() in _METHODS else "_OTHER"  # as the conventions ask
    call = begin(_LABELS[(library, verb, parts.hostname, parts.port or _PORTS[parts.scheme])], place, Call)
    if call is not None:
        call.facts = {names.URL_FULL: plain_url(url)}
    return call


def answered(call: Call, status: int, length: object) -> None:
    """Close it with the answer. ``length``: bytes of the body as they travelled, or the header that says so, or None."""
    facts = call.facts = call.facts or {}
    facts[names.HTTP_STATUS] = status
    facts[names.HTTP_RESPONSE_BYTES] = int(length) if isinstance(length, int) or str(length).isdigit() else None  # type: ignore[call-overload]
    if status >= 400:
        call.error = str(status)
    call.finish()


def refused(call: Call, error: BaseException, status: object) -> None:
    """Close a request whose answer came as an exception."""
    if isinstance(status, int):
        answered(call, status, None)
    else:
        call.finish(error)


def plain_url(url: str) -> str:
    """A URL without user, password, query and fragment, which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return "%s://%s%s" % (parts.scheme, host, parts.path)


def _label(parts: tuple[str, str, str, int]) -> Label:
    library, method, host, port = parts
    return Label(library, method, {names.HTTP_METHOD: method, names.SERVER_ADDRESS: host, names.SERVER_PORT: port})


_LABELS = Labels(_label)
