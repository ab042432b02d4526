"""psycopg 3: a span a statement, and one a COPY, with the rows that PostgreSQL answered or changed.

It sends all rows of a statement at once, however many the program then takes from the cursor. Those of a server-side cursor
are counted as they are fetched. What is sent in a pipeline is not answered yet when the call is over, and has no rows; what
``Cursor.stream`` runs is not seen.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from weakref import WeakKeyDictionary

from rota._current import current
from rota._guard import guarded, unseen
from rota.instrument import _sql, hide
from rota.instrument._call import Answer, begin
from rota.instrument._patch import observe, started
from rota.instrument._replace import replace
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, AsyncIterator, Iterator

    from rota._run import Run
    from rota._task import Task

_STATEMENTS = _sql.Statements("psycopg", "postgresql")
_COPY_OUT = 3  # libpq's ExecStatus
_answers: WeakKeyDictionary[Any, Answer] = WeakKeyDictionary()  # by server-side cursor


class Statement(Answer):
    """A statement; its cursor knows the rows."""

    __slots__ = ("cursor",)
    cursor: Any


def install(module: ModuleType) -> None:
    """Watch the cursors, which connections use too."""
    for kind in (module.Cursor, module.AsyncCursor):
        observe(kind, "execute", _start, _finish)
        observe(kind, "executemany", _start, _finish)
    for kind in (module.ServerCursor, module.AsyncServerCursor):
        observe(kind, "execute", _start, _declared)
        observe(kind, "close", _closing, _finish)
    replace(module.Cursor, "copy", _copying(module.Cursor.copy))
    replace(module.AsyncCursor, "copy", _copying_async(module.AsyncCursor.copy))
    served = next(kind for kind in module.ServerCursor.__mro__ if "_fetch_gen" in vars(kind))
    replace(served, "_fetch_gen", _fetching(vars(served)["_fetch_gen"]))


def _start(place: Run | Task, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Statement | None:
    _let_go(cursor)
    query = args[0] if args else kwargs.get("query", kwargs.get("statement"))
    call = begin(_STATEMENTS.label(_text(query)), place, Statement)
    if call is not None:
        call.cursor = cursor
    return call


def _text(query: Any) -> object:
    """A query as it is written; nothing of one that is put together of parts."""
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    return query.as_string(None) if type(query).__name__ == "SQL" else query


def _finish(call: Any, _result: object = None) -> None:
    cursor, call.cursor = call.cursor, None
    counts = [result.ntuples for result in cursor._results if result.nfields]  # a statement may be several
    if cursor.pgresult is not None and cursor.pgresult.status == _COPY_OUT:
        call.rows = cursor.rowcount
    elif counts:
        call.rows = sum(counts)
    elif cursor.rowcount >= 0:
        call.facts = {names.ROWS_AFFECTED: cursor.rowcount}
    call.finish()


def _declared(call: Any, cursor: Any) -> None:
    call.cursor = None
    call.has_rows()
    _answers[cursor] = call


def _closing(_place: object, cursor: Any, _args: object, _kwargs: object) -> None:
    """Closing a server-side cursor is no call to be seen, but the end of one."""
    _let_go(cursor)


def _let_go(cursor: Any) -> None:
    answer = _answers.pop(cursor, None)
    if answer is not None:
        answer.let_go()


def _fetching(method: Any) -> Any:
    def _fetch_gen(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            rows = yield from method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        _count(self, rows)
        return rows

    return _fetch_gen


@guarded
def _count(cursor: Any, rows: list[Any]) -> None:
    answer = _answers.get(cursor)
    if answer is not None and answer.is_open:
        answer.fetched(len(rows))


def _copying(method: Any) -> Any:
    def copy(self: Any, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        call = _begun(self, args, kwargs)
        try:
            with method(self, *args, **kwargs) as moved:
                yield moved
        except BaseException as error:
            hide(error)
            _end(call, error)
            raise
        _end(call, None)

    return contextmanager(unseen(copy))


def _copying_async(method: Any) -> Any:
    async def copy(self: Any, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call = _begun(self, args, kwargs)
        try:
            async with method(self, *args, **kwargs) as moved:
                yield moved
        except BaseException as error:
            hide(error)
            _end(call, error)
            raise
        _end(call, None)

    return asynccontextmanager(unseen(copy))


def _begun(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    place = current()
    return started(_start, place, cursor, args, kwargs) if place is not None else None


@guarded
def _end(call: Any, error: BaseException | None) -> None:
    if call is None:
        return
    if error is None:
        _finish(call)
    else:
        call.finish(error)
