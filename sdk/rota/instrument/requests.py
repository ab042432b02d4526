"""requests: a span a request, as ``Session.send`` makes it; redirects are part of it. urllib3, below, is not watched."""

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
    """Watch ``Session.send``."""
    _patch.observe(module.Session, "send", _start, _finish)


def _start(place: Run | Task, _self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    request = args[0] if args else kwargs["request"]
    return _http.start("requests", place, request.method, request.url or "")


def _finish(call: Call, response: Any) -> None:
    _http.answered(call, response.status_code, response.headers.get("Content-Length", _read(response)))


def _read(response: Any) -> int | None:
    """Bytes of an answer that came without a length; None while the program still streams it, or when it was compressed."""
    content = response._content
    return len(content) if isinstance(content, bytes) and "Content-Encoding" not in response.headers else None
