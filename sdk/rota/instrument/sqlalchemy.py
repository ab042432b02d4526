"""SQLAlchemy: a span a statement that it gives to a driver, by its own events; the driver's own call is part of it.

Rows are counted where SQLAlchemy takes them from the driver, and a result that is closed is told.
"""

from __future__ import annotations

from rota._current import CURRENT
from rota._guard import guarded
from rota._run import process_run
from rota.instrument import _sql, hide
from rota.instrument._call import INSIDE
from rota.instrument._replace import followed, replace
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota.instrument._call import Answer

_AT = "_rota_call"  # where an execution context keeps its call, with the token that leaves it
_SYSTEMS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mariadb", "duckdb": "duckdb",
            "mssql": "microsoft.sql_server", "oracle": "oracle.db"}  # fmt: skip
_statements: dict[str, _sql.Statements] = {}  # by dialect


def install(module: ModuleType) -> None:
    """Listen to every engine, and watch how results fetch and end."""
    cursor = module.engine.cursor
    strategy, result = cursor.CursorFetchStrategy, cursor.CursorResult
    for kind in (strategy, cursor.BufferedRowCursorFetchStrategy):
        for name, counted in (("fetchone", _one), ("fetchmany", _some), ("fetchall", _some)):
            if name in vars(kind):
                replace(kind, name, _fetching(vars(kind)[name], counted))
    replace(result, "_soft_close", followed(vars(result)["_soft_close"], _closed))
    if not module.event.contains(module.engine.Engine, "before_cursor_execute", _before):
        module.event.listen(module.engine.Engine, "before_cursor_execute", _before)
        module.event.listen(module.engine.Engine, "after_cursor_execute", _after)
        module.event.listen(module.engine.Engine, "handle_error", _failed)


@guarded
def _before(connection: Any, _cursor: object, statement: str, _parameters: object, context: Any, _many: object) -> None:
    place = CURRENT.get() or process_run()
    if place is None or context is None:
        return
    dialect = connection.dialect.name
    statements = _statements.get(dialect) or _statements.setdefault(
        dialect, _sql.Statements("sqlalchemy", _SYSTEMS.get(dialect, "other_sql"))
    )
    call = statements.start(place, statement)
    if call is not None:
        setattr(context, _AT, (call, INSIDE.set(call)))


@guarded
def _after(_connection: object, cursor: Any, _statement: str, _parameters: object, context: Any, _many: object) -> None:
    call, token = _taken(context)
    if call is None:
        return
    INSIDE.reset(token)
    if cursor.description is None:
        call.facts = {names.ROWS_AFFECTED: cursor.rowcount} if cursor.rowcount >= 0 else None
        call.finish()
    else:
        call.has_rows()
        setattr(context, _AT, (call, None))


@guarded
def _failed(failure: Any) -> None:
    call, token = _taken(failure.execution_context)
    if call is not None and token is not None:
        INSIDE.reset(token)
        call.finish(failure.original_exception)


def _taken(context: Any) -> tuple[Any, Any]:
    """The call of an execution and its token; both are None when it has none."""
    return context.__dict__.pop(_AT, (None, None)) if context is not None else (None, None)


def _fetching(method: Any, counted: Any) -> Any:
    def fetch(self: Any, result: Any, /, *args: Any, **kwargs: Any) -> Any:
        answer = _asked(result)  # taken out for the while: the last fetch closes the result before it returns
        try:
            rows = method(self, result, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if answer is not None:
                answer.let_go()
            raise
        if answer is not None:
            _fetched(answer, result, counted(rows))
        return rows

    return fetch


def _one(row: object) -> int:
    return row is not None


def _some(rows: Any) -> int:
    return len(rows)


@guarded
def _asked(result: Any) -> Answer | None:
    return _taken(result.context)[0]  # type: ignore[no-any-return]


@guarded
def _fetched(answer: Answer, result: Any, rows: int) -> None:
    answer.fetched(rows)
    if result._soft_closed:
        answer.let_go()
    else:
        setattr(result.context, _AT, (answer, None))


@guarded
def _closed(result: Any, _: object) -> None:
    call, _ = _taken(result.context)
    if call is not None:
        call.let_go()
