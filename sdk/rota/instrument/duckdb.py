"""DuckDB: a span a statement of a connection, with the rows as the program fetched them, and one each time a relation is read.

Results that are read batch by batch (``fetch_record_batch``, ``fetch_df_chunk``) have no number of rows. A relation whose rows
are taken one by one (``fetchone``, ``fetchmany``) is not seen.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from rota._guard import guarded
from rota.instrument import _patch, _sql
from rota.instrument._call import Answer, Label, begin
from rota.instrument._replace import followed, replace
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from rota._run import Run
    from rota._task import Task
    from rota.instrument._call import Call

_STATEMENTS = _sql.Statements("duckdb", "duckdb")
_READ = Label("duckdb", "SELECT", {names.DB_SYSTEM: "duckdb", names.DB_OPERATION: "SELECT"})
_answers: WeakKeyDictionary[Any, Answer] = WeakKeyDictionary()  # by connection: DuckDB has one open answer each

_BY_CONNECTION = ("fetchall", "fetchmany", "fetchdf", "fetch_df", "df", "pl", "fetchnumpy", "fetch_arrow_table", "arrow")
_BY_BATCH = ("fetch_record_batch", "fetch_df_chunk")
_BY_RELATION = ("fetchall", "fetchdf", "df", "to_df", "pl", "fetchnumpy", "fetch_arrow_table", "to_arrow_table", "arrow")


def install(module: ModuleType) -> None:
    """Watch connections and relations. Their classes are C++, and take a method all the same."""
    connection, relation = module.DuckDBPyConnection, module.DuckDBPyRelation
    for name in ("execute", "executemany"):
        _patch.observe(connection, name, _start, _answered)
    for name in ("sql", "query"):
        _patch.observe(connection, name, _start, _executed)
    for name in _present(connection, _BY_CONNECTION):
        replace(connection, name, _fetching(vars(connection)[name], _rows))
    for name in _present(connection, _BY_BATCH):
        replace(connection, name, _fetching(vars(connection)[name], lambda _: None))
    replace(connection, "fetchone", _fetching(vars(connection)["fetchone"], lambda row: row is not None))
    for name in _present(relation, _BY_RELATION):
        _patch.observe(relation, name, _start_read, _finish_read)


def _present(kind: Any, methods: tuple[str, ...]) -> list[str]:
    return [name for name in methods if name in vars(kind)]


def _start(place: Run | Task, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    answer = _answers.pop(connection, None)
    if answer is not None:
        answer.let_go()
    return _STATEMENTS.start(place, args[0] if args else kwargs.get("query"))


def _answered(call: Any, connection: Any) -> None:
    columns = connection.description
    if not columns or [column[0] for column in columns] == ["Count"]:  # how DuckDB answers what only writes
        call.finish()
    else:
        call.has_rows()
        _answers[connection] = call


def _executed(call: Call, relation: object) -> None:
    """What ``sql`` makes of a query is a relation that has not been read; anything else it has executed."""
    if relation is None:
        call.finish()


def _fetching(method: Any, counted: Callable[[Any], int | None]) -> Any:
    return followed(method, lambda connection, rows: _count(connection, rows, counted))


@guarded
def _count(connection: Any, fetched: Any, counted: Callable[[Any], int | None]) -> None:
    answer = _answers.get(connection)
    if answer is not None and answer.is_open:
        rows = counted(fetched)
        if rows is None:  # nobody knows how many it will be
            answer.rows = -1
            answer.let_go()
        else:
            answer.fetched(rows)


def _rows(fetched: Any) -> int | None:
    """Rows of a list, a data frame, an Arrow table or a dict of columns; None for a stream of batches."""
    if isinstance(fetched, dict):
        return len(next(iter(fetched.values()), ()))
    rows = getattr(fetched, "num_rows", None)
    return rows if rows is not None else len(fetched) if hasattr(fetched, "__len__") else None


def _start_read(place: Run | Task, _self: object, _args: object, _kwargs: object) -> Answer | None:
    return begin(_READ, place, Answer)


def _finish_read(call: Any, fetched: Any) -> None:
    rows = _rows(fetched)
    call.rows = -1 if rows is None else rows
    call.finish()
