"""psycopg 3: a span a statement, and one a COPY, with the rows that PostgreSQL answered or changed.

A client-side cursor has all its rows when ``execute`` returns. How many a server-side cursor will have is not known.
"""

from __future__ import annotations

from rota._current import current
from rota._guard import guarded
from rota.instrument import _sql, hide
from rota.instrument._call import Answer, begin
from rota.instrument._patch import observe, started
from rota.instrument._replace import replace
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task

_STATEMENTS = _sql.Statements("psycopg", "postgresql")


class Statement(Answer):
    """A statement; its cursor knows the rows."""

    __slots__ = ("cursor",)
    cursor: Any


def install(module: ModuleType) -> None:
    """Watch the cursors, which connections use too."""
    for kind in (module.Cursor, module.AsyncCursor, module.ServerCursor, module.AsyncServerCursor):
        for name in ("execute", "executemany"):
            observe(kind, name, _start, _finish)
    for kind in (module.Cursor, module.AsyncCursor):
        replace(kind, "copy", _copying(vars(kind)["copy"]))


def _start(place: Run | Task, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Statement | None:
    query = args[0] if args else kwargs.get("query", kwargs.get("statement"))
    call = begin(_STATEMENTS.label(_text(query)), place, Statement)
    if call is not None:
        call.cursor = cursor
    return call


def _text(query: object) -> object:
    """A query as it is written; nothing of one that is put together of parts."""
    return query.decode("utf-8", "replace") if isinstance(query, bytes) else getattr(query, "_obj", query)


def _finish(call: Any, _result: object = None) -> None:
    cursor, call.cursor = call.cursor, None
    if cursor.description is not None:
        call.rows = cursor.rowcount
    elif cursor.rowcount >= 0:
        call.facts = {names.ROWS_AFFECTED: cursor.rowcount}
    call.finish()


def _copying(method: Any) -> Any:
    def copy(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        place = current()
        call: Any = started(_start, place, self, args, kwargs) if place is not None else None
        try:
            manager = method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        return manager if call is None else _Copying(manager, call)

    return copy


class _Copying:
    """A COPY from its beginning to its end, with what the program does in between."""

    def __init__(self, manager: Any, call: Statement) -> None:
        self._manager, self._call = manager, call

    def __enter__(self) -> Any:
        try:
            return self._manager.__enter__()
        except BaseException as error:
            self._fail(error)
            raise

    def __exit__(self, *raised: Any) -> Any:
        try:
            is_caught = self._manager.__exit__(*raised)
        except BaseException as error:
            self._fail(error)
            raise
        self._close(raised[1])
        return is_caught

    async def __aenter__(self) -> Any:
        try:
            return await self._manager.__aenter__()
        except BaseException as error:
            self._fail(error)
            raise

    async def __aexit__(self, *raised: Any) -> Any:
        try:
            is_caught = await self._manager.__aexit__(*raised)
        except BaseException as error:
            self._fail(error)
            raise
        self._close(raised[1])
        return is_caught

    def _fail(self, error: BaseException) -> None:
        hide(error)
        self._close(error)

    @guarded
    def _close(self, error: BaseException | None) -> None:
        if error is None:
            _finish(self._call)
        else:
            self._call.finish(error)
