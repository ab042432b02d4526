"""The tables of control state: what is true now, derived from the journal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, or_, text

metadata = MetaData()

# How far the journal has been applied to this store. One row; it moves in the transaction of the rows it speaks of.
cursor = Table(
    "cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
)

# One row: the version of all tables of this store.
schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# Every run: the fields of rota.rules.fold.Run, and `listed_ns`, the time it is listed under: when it started, or, as
# long as nobody knows that, when it was first heard of. Times are Unix ns. Tags are a JSON array.
runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("listed_ns", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_ns", BigInteger),
    Column("ended_ns", BigInteger),
    Column("slot_ns", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text),
    Column("raw_state", Text),
    Column("exit_code", Integer),
    Column("host", Text),
    Column("trace_id", Text),
    Column("span_id", Text),
    Column("parent_run_id", Text),
    Column("tags", Text, nullable=False),
    Column("state_key", Text, nullable=False),
    Column("error_key", Text, nullable=False),
    Column("first_key", Text, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("error_stack", Text),  # last, as it is long: lists read the row's first page only
    # One index an order that lists are read in. What stands behind the order in the first two answers counts, timelines,
    # rollups and filters without a look at the rows.
    Index("runs_listed", "listed_ns", "run_id", "state", "ended_ns", "workflow"),
    Index("runs_workflow", "workflow", "listed_ns", "run_id", "state", "ended_ns"),
    Index("runs_state", "state", "listed_ns", "run_id"),
    Index("runs_workflow_state", "workflow", "state", "listed_ns", "run_id"),
    Index("runs_host", "host", "listed_ns", "run_id"),
)

# What few runs are has an index of those few. Their conditions are spelled here once: a partial index answers no other spelling.
was_retried = runs.c.attempt > text("1")
is_telling = or_(runs.c.error_message.is_not(None), runs.c.error_type.is_not(None), runs.c.reason.is_not(None))
Index("runs_retried", runs.c.listed_ns, runs.c.run_id, sqlite_where=was_retried, postgresql_where=was_retried)
Index("runs_telling", runs.c.listed_ns, runs.c.run_id, sqlite_where=is_telling, postgresql_where=is_telling)

run_tags = Table(
    "run_tags",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("listed_ns", BigInteger, primary_key=True),
    Column("run_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# The rollup of a workflow: its last run (NULL: it has a policy, and never ran), what became of its last 30 occurrences (a
# JSON array, the oldest first), and how long it usually took before its last run (NULL: too few runs to tell).
workflows = Table(
    "workflows",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_run_id", Text),
    Column("outcomes", Text, nullable=False),
    Column("usual_low_ns", BigInteger),
    Column("usual_high_ns", BigInteger),
)

# How the runs of a UTC day (of `listed_ns`, in days since 1970) ended. `other`: counted neither way.
workflow_days = Table(
    "workflow_days",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("other", Integer, nullable=False),
    sqlite_with_rowid=False,
)
