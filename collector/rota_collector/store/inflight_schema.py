"""The tables of rules on runs in flight: what tasks told, which rules acted, which runs shall end. Times are Unix ns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

metadata = MetaData()

# Of workflows with rules: what the calls of a task in the present attempt have told, together.
task_facts = Table(
    "task_facts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("ended_ns", BigInteger, nullable=False),  # of the last call
    Column("facts", Text, nullable=False),  # JSON, see rota.rules.inflight.task_facts
    Index("task_facts_ended", "ended_ns"),
)

# The calls that are in there: one that is sent again counts once.
task_ends = Table(
    "task_ends",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("span_id", Text, primary_key=True),
    Column("ended_ns", BigInteger, nullable=False),
    Index("task_ends_ended", "ended_ns"),
)

# The tasks of the last run that succeeded.
last_facts = Table(
    "last_facts",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("ended_ns", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),  # JSON, by task
)

# A rule that acted once in a run does not act again.
rule_acts = Table(
    "rule_acts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("rule", Text, primary_key=True),  # its words
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Index("rule_acts_at", "at_ns"),
)

# Runs that are to end, until they have. ``number`` grows, so that hosts ask for those after the last that they know.
cancels = Table(
    "cancels",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("host", Text),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("over_ns", BigInteger),  # when the run had ended: a further attempt of it is not to end
    Index("cancels_number", "number"),
    Index("cancels_at", "at_ns"),
)
