"""The tables of admission: leases and who waits for them, what was answered, approvals, pools.

They are facts of this store alone, in no journal. Times are Unix ns.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

metadata = MetaData()

# Every grant. It is live until it expires or is released; a mark (a start that a rate counts, a trial) is nobody's to release.
leases = Table(
    "leases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task", Text),
    Column("attempt", Integer, nullable=False),
    Column("host", Text),
    Column("weight", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("lasts_ns", BigInteger, nullable=False),  # how long it holds from each renewal on
    Column("is_mark", Integer, nullable=False),
    Column("granted_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("released_ns", BigInteger),
    Index("leases_live", "scope", "expires_ns", "weight", sqlite_where=text("released_ns IS NULL")),
    Index("leases_ticket", "ticket"),
    Index("leases_marks", "scope", "granted_ns", sqlite_where=text("is_mark = 1")),
    Index("leases_granted", "granted_ns", "id"),
    Index("leases_over", "expires_ns"),
)

# The last token of each scope: it only grows, so that whoever comes with a smaller one has been followed by another.
scopes = Table("scopes", metadata, Column("scope", Text, primary_key=True), Column("token", BigInteger, nullable=False))

# How far the wall clock was ahead of the one that nobody sets, when the times here were written: the one row tells a collector
# that starts whether it was set meanwhile. ``boot``: the start of the machine from which the other one counts.
anchor = Table("anchor", metadata, Column("boot", Text, primary_key=True), Column("ahead_ns", BigInteger, nullable=False))

# Pools whose limit somebody set; that of every other one is the smallest that a policy gives.
pools = Table(
    "pools",
    metadata,
    Column("name", Text, primary_key=True),
    Column("most", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("set_ns", BigInteger, nullable=False),
)

# Who asked, and what the last answer was: a place in the line outlives the collector, and only another answer is news.
questions = Table(
    "questions",
    metadata,
    Column("ticket", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("task", Text),
    Column("asked_ns", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("answered_ns", BigInteger, nullable=False),
    Index("questions_answered", "answered_ns"),
    Index("questions_waiting", "asked_ns", sqlite_where=text("answer = 'wait'")),
)

# What was answered to a request with an idempotency key: who sends it again is told the same.
told_answers = Table(
    "told_answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("payload", Text, nullable=False),  # its digest
    Column("answer", Text, nullable=False),  # JSON
    Column("told_ns", BigInteger, nullable=False),
    Index("told_answers_told", "told_ns"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task", Text),
    Column("host", Text),
    Column("role", Text, nullable=False),  # the scope that a key needs to answer
    Column("asked_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),  # NULL: it waits for ever
    Column("answer", Text),  # approve, refuse
    Column("answered_ns", BigInteger),
    Column("by", Text),
    Column("comment", Text),
    Index("approvals_asked", "asked_ns", "id"),
)
