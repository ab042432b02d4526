"""sqlite3: a span a statement, with the rows as the program fetched them.

The library's classes are C and cannot be changed. So a connection that is made by ``sqlite3.connect`` without a ``factory`` is
of a subclass with the same name, and so are its cursors; ``isinstance`` holds, ``type(connection) is sqlite3.Connection`` does
not. A connection made in another way (``sqlite3.Connection(…)``, a factory, ``from sqlite3 import connect`` before the run
began) is not seen.
"""

from __future__ import annotations

import sqlite3
from itertools import compress, repeat, starmap

from rota._current import CURRENT
from rota._guard import note, unseen
from rota._run import process_run
from rota.instrument import _patch, _sql, hide
from rota.instrument._call import INSIDE, Call
from rota.instrument._replace import replace, standing
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Iterator

    from rota._run import Run
    from rota._task import Task
    from rota.instrument._call import Answer

_FACTORY_AT = 5  # its place among the arguments of connect()
_next, _new_cursor = sqlite3.Cursor.__next__, sqlite3.Connection.cursor


def _statement(name: str, of_connection: bool = False) -> Any:
    """``execute`` and its like, with a span around. One frame: what it raises shows no more of us."""
    method = getattr(sqlite3.Cursor, name)

    def statement(self: Any, *args: Any) -> Any:
        cursor = _new_cursor(self, Cursor) if of_connection else self
        place = CURRENT.get() or process_run()
        call = _started(cursor, place, args) if place is not None and type(cursor) is Cursor else None
        token = INSIDE.set(call) if call is not None else None
        try:
            result = method(cursor, *args)
        except BaseException as error:
            hide(error)
            if call is not None:
                _patch.over(Call.finish, call, token, error)
            raise
        if call is not None and token is not None:
            INSIDE.reset(token)
            _answered(cursor, call)
        return result

    statement.__name__ = name
    return unseen(statement)


def _started(cursor: Cursor, place: Run | Task, args: tuple[Any, ...]) -> Answer | None:
    try:
        if cursor._answer is not None:
            cursor._let_go()
        return _STATEMENTS.start(place, args[0] if args else "")
    except RecursionError:
        raise  # as in rota._task: the program is at its limit
    except Exception as error:
        note("instrument sqlite3", error)
        return None


def _answered(cursor: Cursor, call: Answer) -> None:
    try:
        if cursor.description is None:  # a statement without rows
            call.facts = {names.ROWS_AFFECTED: cursor.rowcount} if cursor.rowcount >= 0 else None
            call.finish()
        else:
            call.has_rows()
            cursor._answer = call
    except Exception as error:
        note("instrument sqlite3", error)


_STATEMENTS = _sql.Statements("sqlite3", "sqlite")


def _fetching(method: Any, counted: Callable[[Any], int], takes_all: bool = False) -> Any:
    """A way to fetch, that counts; the last rows end the answer."""

    def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            fetched = method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        answer = self._answer
        if answer is not None:
            rows = counted(fetched)
            answer.fetched(rows)
            if takes_all or not rows:
                self._let_go()
        return fetched

    fetch.__name__ = method.__name__
    return unseen(fetch)


class Cursor(sqlite3.Cursor):
    """A cursor that knows which call it is the answer of."""

    _answer: Answer | None = None
    execute, executemany, executescript = (_statement(name) for name in ("execute", "executemany", "executescript"))

    fetchone = _fetching(sqlite3.Cursor.fetchone, lambda row: row is not None)
    fetchmany = _fetching(sqlite3.Cursor.fetchmany, len)
    fetchall = _fetching(sqlite3.Cursor.fetchall, len, takes_all=True)
    __next__ = _fetching(sqlite3.Cursor.__next__, lambda _: 1)

    def close(self) -> None:
        """See the base class."""
        self._let_go()
        try:
            super().close()
        except BaseException as error:
            hide(error)
            raise

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self._answer is None:
            return self
        return compress(starmap(_next, repeat((self,))), self._answer.numbers())

    def __del__(self) -> None:
        if self._answer is not None:
            self._let_go()

    def _let_go(self) -> None:
        answer = self._answer
        if answer is not None:
            self._answer = None
            answer.let_go()


class Connection(sqlite3.Connection):
    """A connection whose cursors are ours, unless the program brings its own."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """See the base class."""
        return super().cursor(*args, **kwargs) if args or kwargs else super().cursor(Cursor)

    execute, executemany, executescript = (
        _statement(name, of_connection=True) for name in ("execute", "executemany", "executescript")
    )  # from CPython 3.11 on, the base class asks nobody for the cursor


def install(module: ModuleType) -> None:
    """Let ``sqlite3.connect`` make connections of ours where the program asks for no class of its own."""
    _disguise(Cursor, sqlite3.Cursor)
    _disguise(Connection, sqlite3.Connection)
    original = standing(module, "connect")

    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_AT and "factory" not in kwargs:
            kwargs["factory"] = Connection
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    replace(module, "connect", connect)
    module.connect.__module__ = module.__name__  # and not `_sqlite3`, where pickle would find another


def _disguise(ours: type, theirs: type) -> None:
    """As the base class is called and documented."""
    ours.__module__, ours.__qualname__, ours.__doc__ = "sqlite3", theirs.__qualname__, theirs.__doc__
    for name, method in vars(ours).items():
        if callable(method) and name in vars(theirs):
            method.__doc__ = vars(theirs)[name].__doc__
