"""The tables of what is expected: policies, the instances that are watched, slots, incidents, and when we did not watch.

Policies, quiet times and what people did to incidents are facts that live here only. The rest follows from runs and
policies. Times are Unix ns.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

from rota_collector.domain.outcomes import NOTED

metadata = MetaData()

is_noted = text("verdict IN (%s)" % ", ".join(f"'{verdict}'" for verdict in NOTED))  # literally as in its partial index

# Every version of every policy, as code declared it or as somebody stored it.
policy_versions = Table(
    "policy_versions",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("origin", Text, nullable=False),  # code, stored
    Column("document", Text, nullable=False),  # JSON
    Column("author", Text, nullable=False),
    Column("reason", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("source", Text),  # the place that a stored one comes from, and its commit there
    Column("revision", Text),
)

# The policy in force of each workflow that has one: what code declares, overridden by what is stored. JSON documents.
policies = Table(
    "policies_in_force",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("declared", Text),
    Column("stored", Text),
    Column("declared_ns", BigInteger, nullable=False),  # when the run that declared it started; 0: no code did
    Column("problems", Text, nullable=False),  # a JSON array: what of the declaration cannot be used, and why
    Column("source", Text),  # of what is stored
    Column("revision", Text),
)

# One row an instance that is watched. `next_ns` is the ordered set of deadlines: a tick touches only what is due by it,
# and a fact that may change the answer sets it to 0.
watches = Table(
    "watches",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("host", Text, primary_key=True),  # "": the workflow, wherever it runs
    Column("watched_ns", BigInteger, nullable=False),
    Column("anchor_ns", BigInteger, nullable=False),
    Column("next_ns", BigInteger),
    Column("dirty_ns", BigInteger),  # the earliest start among the runs that changed since the last review
    Column("from_ns", BigInteger, nullable=False),  # slots due before it stay as they are
    Column("runs_ns", BigInteger, nullable=False),  # runs that started before it are in nobody's slot
    Column("open_runs", Integer, nullable=False),  # how many the last review saw
    Column("on_host", Text, nullable=False),  # where the last run was
    Column("next_due_ns", BigInteger),
    Column("verdict", Text),  # of the last slot that was judged
    Index("watches_next", "next_ns"),
    sqlite_with_rowid=False,
)

slots = Table(
    "slots",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("due_ns", BigInteger, primary_key=True),
    Column("opens_ns", BigInteger, nullable=False),
    Column("deadline_ns", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("verdict", Text),
    Column("reason", Text),
    Column("run_id", Text),
    Column("started_ns", BigInteger),
    Column("revision", Integer, nullable=False),
    Index("slots_due", "due_ns", "workflow", "host"),
    Index("slots_run", "run_id", sqlite_where=text("run_id IS NOT NULL")),
    Index("slots_noted", "workflow", "due_ns", sqlite_where=is_noted),
    sqlite_with_rowid=False,
)

# rota_collector.domain.incident.Incident, and what a person did about it.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("on_host", Text, nullable=False),
    Column("run_id", Text),
    Column("due_ns", BigInteger),
    Column("error", Text),
    Column("told_ns", BigInteger),
    Column("next_ns", BigInteger),
    Column("escalated", Integer, nullable=False),
    Column("group_id", Text),
    Column("suppressed_by", Text),
    Column("acked_ns", BigInteger),
    Column("acked_by", Text),
    Column("snoozed_until_ns", BigInteger),
    Column("closed_ns", BigInteger),
    Column("closed_by", Text),
    Column("reason", Text),
    Index("incidents_opened", "opened_ns", "id"),
    Index("incidents_workflow", "workflow", "closed_ns"),
    Index("incidents_open", "closed_ns", "next_ns"),
    Index("incidents_open_kind", "kind", sqlite_where=text("closed_ns IS NULL")),
    Index("incidents_open_host", "on_host", sqlite_where=text("closed_ns IS NULL")),
    Index("incidents_forgiven", "workflow", "host", "closed_ns", sqlite_where=text("closed_by IS NOT NULL")),
    Index("incidents_group", "group_id", sqlite_where=text("group_id IS NOT NULL")),
    Index("incidents_suppressed", "suppressed_by", sqlite_where=text("suppressed_by IS NOT NULL")),
)

# Stretches of time in which nothing is expected of the workflows and hosts that match (shell patterns).
quiet_times = Table(
    "quiet_times",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # pause, maintenance
    Column("workflow", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
)

# When nobody watched. Until `settled_ns` news from then may still arrive.
downtimes = Table(
    "downtimes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("settled_ns", BigInteger, nullable=False),
    Column("source", Text),  # the system that no observer looked at; NULL: this collector was away
    Column("on_host", Text),  # of what runs on that host
)

# Who looks at other systems: rota_collector.domain.looking.Observer.
observers = Table(
    "observers",
    metadata,
    Column("source", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("on_host", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("looked_ns", BigInteger, nullable=False),
    Column("heard_ns", BigInteger, nullable=False),
    Column("every_ns", BigInteger, nullable=False),
    Column("problem", Text),
    Column("downtime_id", Text),
    Column("incident_id", Text),
)

# The system that an observer knows a workflow from.
observed = Table(
    "observed",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Index("observed_source", "source"),
)

heartbeat = Table("heartbeat", metadata, Column("name", Text, primary_key=True), Column("at_ns", BigInteger, nullable=False))

hosts = Table("hosts", metadata, Column("host", Text, primary_key=True), Column("heard_ns", BigInteger, nullable=False))

# The hosts whose agents are expected to be heard.
agents = Table("agents", metadata, Column("host", Text, primary_key=True), Column("heard_ns", BigInteger, nullable=False))

# What was decided and the journal does not have yet: log records of one transaction, as JSON text with commas between.
outgoing = Table("outgoing", metadata, Column("id", Integer, primary_key=True), Column("records", Text, nullable=False))
