"""httpx: a span a request, of ``Client`` and of ``AsyncClient``; redirects are part of it."""

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
    """Watch ``send``, through which every request of a client goes."""
    _patch.observe(module.Client, "send", _start, _finish)
    _patch.observe(module.AsyncClient, "send", _start, _finish)


def _start(place: Run | Task, _self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    request = args[0] if args else kwargs["request"]
    return _http.start("httpx", place, request.method, str(request.url))


def _finish(call: Call, response: Any) -> None:
    # Without a length in the answer: what was downloaded, unless the program still streams it.
    downloaded = response.num_bytes_downloaded if response.is_closed else None
    _http.answered(call, response.status_code, response.headers.get("Content-Length", downloaded))
