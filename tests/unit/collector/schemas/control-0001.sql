-- The tables of control.sqlite as schema 1 made them. Never changed: files of that time are out there.
CREATE TABLE agents (
	host TEXT NOT NULL, 
	heard_ns BIGINT NOT NULL, 
	PRIMARY KEY (host)
);

CREATE TABLE channels (
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	shown TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	PRIMARY KEY (name)
);

CREATE TABLE cursor (
	name TEXT NOT NULL, 
	"offset" BIGINT NOT NULL, 
	PRIMARY KEY (name)
);

CREATE TABLE downtimes (
	id TEXT NOT NULL, 
	from_ns BIGINT NOT NULL, 
	until_ns BIGINT NOT NULL, 
	settled_ns BIGINT NOT NULL, 
	PRIMARY KEY (id)
);

CREATE TABLE heartbeat (
	name TEXT NOT NULL, 
	at_ns BIGINT NOT NULL, 
	PRIMARY KEY (name)
);

CREATE TABLE hosts (
	host TEXT NOT NULL, 
	heard_ns BIGINT NOT NULL, 
	PRIMARY KEY (host)
);

CREATE TABLE incidents (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	host TEXT NOT NULL, 
	opened_ns BIGINT NOT NULL, 
	since_ns BIGINT NOT NULL, 
	summary TEXT NOT NULL, 
	on_host TEXT NOT NULL, 
	run_id TEXT, 
	due_ns BIGINT, 
	error TEXT, 
	told_ns BIGINT, 
	next_ns BIGINT, 
	escalated INTEGER NOT NULL, 
	group_id TEXT, 
	suppressed_by TEXT, 
	acked_ns BIGINT, 
	acked_by TEXT, 
	snoozed_until_ns BIGINT, 
	closed_ns BIGINT, 
	closed_by TEXT, 
	reason TEXT, 
	PRIMARY KEY (id)
);

CREATE TABLE keys (
	id TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	name TEXT NOT NULL, 
	workflow TEXT, 
	pattern TEXT, 
	created_ns BIGINT NOT NULL, 
	revoked_ns BIGINT, 
	PRIMARY KEY (id)
);

CREATE TABLE outbox (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	incident_ids TEXT NOT NULL, 
	title TEXT NOT NULL, 
	text TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	next_ns BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	sent_ns BIGINT, 
	dead_ns BIGINT, 
	error TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);

CREATE TABLE outgoing (
	id INTEGER NOT NULL, 
	records TEXT NOT NULL, 
	PRIMARY KEY (id)
);

CREATE TABLE policies_in_force (
	workflow TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	declared TEXT, 
	stored TEXT, 
	declared_ns BIGINT NOT NULL, 
	problems TEXT NOT NULL, 
	PRIMARY KEY (workflow)
);

CREATE TABLE policy_versions (
	workflow TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	origin TEXT NOT NULL, 
	document TEXT NOT NULL, 
	author TEXT NOT NULL, 
	reason TEXT, 
	created_ns BIGINT NOT NULL, 
	PRIMARY KEY (workflow, version)
);

CREATE TABLE quiet_times (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	host TEXT NOT NULL, 
	from_ns BIGINT NOT NULL, 
	until_ns BIGINT, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	PRIMARY KEY (id)
);

CREATE TABLE run_tags (
	tag TEXT NOT NULL, 
	listed_ns BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	PRIMARY KEY (tag, listed_ns, run_id)
)
 WITHOUT ROWID;

CREATE TABLE runs (
	run_id TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	listed_ns BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	started_ns BIGINT, 
	ended_ns BIGINT, 
	slot_ns BIGINT, 
	attempt INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	reason TEXT, 
	raw_state TEXT, 
	exit_code INTEGER, 
	host TEXT, 
	trace_id TEXT, 
	span_id TEXT, 
	parent_run_id TEXT, 
	tags TEXT NOT NULL, 
	state_key TEXT NOT NULL, 
	error_key TEXT NOT NULL, 
	first_key TEXT NOT NULL, 
	error_type TEXT, 
	error_message TEXT, 
	error_stack TEXT, 
	PRIMARY KEY (run_id)
);

CREATE TABLE slots (
	workflow TEXT NOT NULL, 
	host TEXT NOT NULL, 
	due_ns BIGINT NOT NULL, 
	opens_ns BIGINT NOT NULL, 
	deadline_ns BIGINT NOT NULL, 
	version INTEGER NOT NULL, 
	verdict TEXT, 
	reason TEXT, 
	run_id TEXT, 
	started_ns BIGINT, 
	revision INTEGER NOT NULL, 
	PRIMARY KEY (workflow, host, due_ns)
)
 WITHOUT ROWID;

CREATE TABLE watches (
	workflow TEXT NOT NULL, 
	host TEXT NOT NULL, 
	watched_ns BIGINT NOT NULL, 
	anchor_ns BIGINT NOT NULL, 
	next_ns BIGINT, 
	dirty_ns BIGINT, 
	from_ns BIGINT NOT NULL, 
	runs_ns BIGINT NOT NULL, 
	open_runs INTEGER NOT NULL, 
	on_host TEXT NOT NULL, 
	next_due_ns BIGINT, 
	verdict TEXT, 
	PRIMARY KEY (workflow, host)
)
 WITHOUT ROWID;

CREATE TABLE workflow_days (
	workflow TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	succeeded INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	other INTEGER NOT NULL, 
	PRIMARY KEY (workflow, day)
)
 WITHOUT ROWID;

CREATE TABLE workflows (
	name TEXT NOT NULL, 
	last_run_id TEXT, 
	outcomes TEXT NOT NULL, 
	usual_low_ns BIGINT, 
	usual_high_ns BIGINT, 
	PRIMARY KEY (name)
);

CREATE INDEX incidents_forgiven ON incidents (workflow, host, closed_ns) WHERE closed_by IS NOT NULL;

CREATE INDEX incidents_group ON incidents (group_id) WHERE group_id IS NOT NULL;

CREATE INDEX incidents_open ON incidents (closed_ns, next_ns);

CREATE INDEX incidents_open_host ON incidents (on_host) WHERE closed_ns IS NULL;

CREATE INDEX incidents_open_kind ON incidents (kind) WHERE closed_ns IS NULL;

CREATE INDEX incidents_opened ON incidents (opened_ns, id);

CREATE INDEX incidents_suppressed ON incidents (suppressed_by) WHERE suppressed_by IS NOT NULL;

CREATE INDEX incidents_workflow ON incidents (workflow, closed_ns);

CREATE INDEX keys_hash ON keys (hash);

CREATE INDEX outbox_waiting ON outbox (channel, number) WHERE sent_ns IS NULL AND dead_ns IS NULL;

CREATE INDEX runs_listed ON runs (listed_ns, run_id, state, ended_ns);

CREATE INDEX runs_state ON runs (state, listed_ns, run_id);

CREATE INDEX runs_workflow ON runs (workflow, listed_ns, run_id, state, ended_ns);

CREATE INDEX runs_workflow_state ON runs (workflow, state, listed_ns, run_id);

CREATE INDEX slots_due ON slots (due_ns, workflow, host);

CREATE INDEX slots_noted ON slots (workflow, due_ns) WHERE verdict IN ('late', 'missed', 'unknown', 'skipped');

CREATE INDEX slots_run ON slots (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX watches_next ON watches (next_ns);
INSERT INTO cursor VALUES ('journal', 0);
