"""urllib: a span a request, whichever opener makes it. Redirects are part of the request that led to them."""

from __future__ import annotations

from rota.instrument import _http, _patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task
    from rota.instrument._call import Call


def install(module: ModuleType) -> None:
    """Watch ``OpenerDirector.open``, through which every ``urlopen`` and ``urlretrieve`` goes."""
    _patch.observe(module.OpenerDirector, "open", _start, _finish, _fail)


def _start(place: Run | Task, _self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    request = args[0] if args else kwargs.get("fullurl")
    if isinstance(request, str):
        has_body = (args[1] if len(args) > 1 else kwargs.get("data")) is not None
        return _http.start("urllib", place, "POST" if has_body else "GET", request)
    return _http.start("urllib", place, request.get_method(), request.full_url) if request is not None else None


def _finish(call: Call, response: Any) -> None:
    _http.answered(call, response.status, response.headers.get("Content-Length"))


def _fail(call: Call, error: BaseException) -> None:
    _http.refused(call, error, getattr(error, "code", None))  # an HTTPError is an answer
