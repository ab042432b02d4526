-- Telemetry in DuckDB. Tables are append-only: no primary keys, no unique indexes (their indexes are rewritten at every
-- checkpoint and do not spill); what arrives twice is left out when it is inserted. Ids are UUID and UBIGINT, because
-- they compress and compare well; times are TIMESTAMP_NS in UTC; attributes are JSON, with what is asked often promoted.
-- Long texts are compressed with zstd: half of what DuckDB would choose by itself. Not links, which next to no row has: of those
-- without it takes four bytes each.

-- name: schema
-- The newest; what leads to it from older ones is in migrations/telemetry.
CREATE TABLE spans (
    trace_id UUID NOT NULL,
    span_id UBIGINT NOT NULL,            -- its hex digits are the id's
    parent_span_id UBIGINT,
    run_id UUID,                         -- of the span, else its scope, else its resource; so is workflow
    workflow VARCHAR,
    task VARCHAR,
    name VARCHAR NOT NULL,
    kind UTINYINT NOT NULL,              -- as in OTLP: 1 internal, 2 server, 3 client, 4 producer, 5 consumer
    started_at TIMESTAMP_NS NOT NULL,
    duration_ns BIGINT,                  -- NULL: the end was not told
    status UTINYINT NOT NULL,            -- 0 unset, 1 ok, 2 error
    status_message VARCHAR,
    service VARCHAR,
    host VARCHAR,
    attributes JSON NOT NULL USING COMPRESSION zstd,
    events JSON USING COMPRESSION zstd,  -- array, NULL without any
    links JSON,                          -- array, NULL without any
    dropped UINTEGER NOT NULL,           -- attributes, events and links that the sender left out
    trace_state VARCHAR,
    flags UTINYINT NOT NULL,
    scope VARCHAR,
    scope_version VARCHAR,
    scope_attributes JSON,
    resource JSON NOT NULL,
    calls UINTEGER                       -- how many calls it stands for; NULL: it is one
);

CREATE TABLE logs (
    logged_at TIMESTAMP_NS NOT NULL,     -- when it happened, else when it was observed, else when it was received
    trace_id UUID,
    span_id UBIGINT,
    run_id UUID,
    workflow VARCHAR,
    task VARCHAR,
    event_name VARCHAR,
    event_id UUID,
    severity UTINYINT NOT NULL,          -- 0 unset, 1-4 trace, 5-8 debug, 9-12 info, 13-16 warn, 17-20 error, 21-24 fatal
    severity_text VARCHAR,
    body VARCHAR USING COMPRESSION zstd, -- a string as it is, anything else as JSON
    service VARCHAR,
    host VARCHAR,
    attributes JSON NOT NULL USING COMPRESSION zstd,
    dropped UINTEGER NOT NULL,
    flags UTINYINT NOT NULL,
    scope VARCHAR,
    scope_version VARCHAR,
    scope_attributes JSON,
    resource JSON NOT NULL
);

CREATE TABLE metrics (
    measured_at TIMESTAMP_NS NOT NULL,
    name VARCHAR NOT NULL,
    unit VARCHAR,
    kind VARCHAR NOT NULL,               -- gauge, sum, histogram, exponential_histogram, summary
    value DOUBLE,                        -- of gauges and sums
    count UBIGINT,                       -- of the others; so is sum
    sum DOUBLE,
    run_id UUID,
    workflow VARCHAR,
    service VARCHAR,
    host VARCHAR,
    attributes JSON NOT NULL USING COMPRESSION zstd,
    point JSON NOT NULL USING COMPRESSION zstd, -- the rest of the point: buckets, quantiles, exemplars, temporality, …
    scope VARCHAR,
    resource JSON NOT NULL
);

CREATE TABLE run_events (
    event_id UUID NOT NULL,
    run_id UUID NOT NULL,
    workflow VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    happened_at TIMESTAMP_NS NOT NULL,
    attempt INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR,
    raw_state VARCHAR,
    started_at TIMESTAMP_NS,
    slot_at TIMESTAMP_NS,
    exit_code INTEGER,
    error_type VARCHAR,
    error_message VARCHAR,
    error_stack VARCHAR USING COMPRESSION zstd,
    host VARCHAR,
    trace_id UUID,
    span_id UBIGINT,
    parent_run_id UUID,
    tags VARCHAR[] NOT NULL,
    state_key VARCHAR NOT NULL           -- of the events of a run, the one with the greatest key tells its state
);

-- Where the journal has been read to. Written in the transaction that inserts what was read.
CREATE TABLE progress (next_offset UBIGINT NOT NULL);
INSERT INTO progress VALUES (0);

-- Hashes of the latest requests, to leave out those that were sent again.
CREATE TABLE requests (hash UUID NOT NULL, journal_offset UBIGINT NOT NULL);

-- name: has_tables
SELECT count(*) > 0 FROM duckdb_tables();

-- name: has_version
SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'schema_version';

-- name: note_version
CREATE TABLE IF NOT EXISTS schema_version (version UINTEGER NOT NULL);
DELETE FROM schema_version;
INSERT INTO schema_version VALUES ({version});

-- name: version
SELECT version FROM schema_version;

-- name: views
-- Made anew at each start, so that an older file shows what this version can tell.

-- Each run as its events tell it so far: rota.rules.fold in SQL. Registers are taken from the event with the greatest
-- key, what is known first from the earliest event. An error under a success, or of an earlier attempt, is history.
CREATE OR REPLACE VIEW runs AS
WITH folded AS (
    SELECT
        run_id,
        arg_max({state: state, attempt: attempt, source: source, reason: reason, raw_state: raw_state,
                 exit_code: exit_code, happened_at: happened_at}, state_key) AS latest,
        arg_max({attempt: attempt, error_type: error_type, message: error_message, stack: error_stack}, state_key)
            FILTER (error_type IS NOT NULL) AS error,
        arg_min({workflow: workflow, host: host, trace_id: trace_id, span_id: span_id, parent_run_id: parent_run_id,
                 tags: tags}, {happened_at: happened_at, event_id: event_id}) AS earliest,
        min(coalesce(started_at, CASE WHEN state IN ('starting', 'running') THEN happened_at END)) AS started_at,
        min(slot_at) AS slot_at
    FROM run_events
    GROUP BY run_id
), told AS (
    SELECT
        *,
        latest.state IN ('succeeded', 'failed', 'timed_out', 'crashed', 'cancelled', 'skipped', 'upstream_failed', 'ended')
            AS over,
        latest.state <> 'succeeded' AND error.attempt = latest.attempt AS failing
    FROM folded
)
SELECT
    run_id,
    earliest.workflow AS workflow,
    latest.state AS state,
    latest.reason AS reason,
    latest.raw_state AS raw_state,
    latest.attempt AS attempt,
    slot_at,
    started_at,
    CASE WHEN over THEN latest.happened_at END AS ended_at,
    CASE WHEN over THEN (epoch_ns(latest.happened_at) - epoch_ns(started_at)) / 1e9 END AS duration_seconds,
    latest.exit_code AS exit_code,
    CASE WHEN failing THEN error.error_type END AS error_type,
    CASE WHEN failing THEN error.message END AS error_message,
    CASE WHEN failing THEN error.stack END AS error_stack,
    earliest.host AS host,
    latest.source AS source,
    earliest.trace_id AS trace_id,
    earliest.span_id AS span_id,
    earliest.parent_run_id AS parent_run_id,
    earliest.tags AS tags
FROM told;

-- Each task that has ended, from its span, and each that has only begun, from its start event.
CREATE OR REPLACE VIEW tasks AS
SELECT
    run_id,
    workflow,
    task AS name,
    trace_id,
    span_id,
    parent_span_id,
    coalesce(attributes ->> 'rota.task.state', CASE attributes ->> 'cicd.pipeline.task.run.result'
        WHEN 'timeout' THEN 'timed_out'
        WHEN 'cancellation' THEN 'cancelled'
        WHEN 'skip' THEN 'skipped'
        WHEN 'failure' THEN 'failed'
        WHEN 'error' THEN 'failed'
        ELSE CASE WHEN status = 2 THEN 'failed' ELSE 'succeeded' END
    END) AS state,
    started_at,
    duration_ns / 1e9 AS duration_seconds,
    coalesce(attributes ->> 'error.type', failure ->> 'exception.type') AS error_type,
    coalesce(status_message, failure ->> 'exception.message') AS error_message,
    attributes
FROM (
    SELECT
        *,
        CASE WHEN status = 2 THEN list_filter(events :: JSON[], lambda event: event ->> 'name' = 'exception')[-1] -> 'attributes' END
            AS failure
    FROM spans
    WHERE task IS NOT NULL
)
UNION ALL
SELECT run_id, workflow, task, trace_id, span_id, NULL, 'running', min(logged_at), NULL, NULL, NULL, any_value(attributes)
FROM logs
WHERE event_name = 'rota.task.state'
  AND (trace_id, span_id) NOT IN (SELECT (trace_id, span_id) FROM spans WHERE task IS NOT NULL)
GROUP BY run_id, workflow, task, trace_id, span_id;

-- What became of slots: a row each time one was judged, so of a slot the row with the greatest revision holds. Anybody
-- may send a record of that name: what is no number is NULL, and hides no other row.
CREATE OR REPLACE VIEW slot_events AS
SELECT
    logged_at AS happened_at,
    event_id,
    workflow,
    attributes ->> 'rota.instance.host' AS host,              -- NULL: the workflow, wherever it runs
    make_timestamp_ns(TRY_CAST(attributes ->> 'rota.slot' AS BIGINT)) AS due_at,
    make_timestamp_ns(TRY_CAST(attributes ->> 'rota.slot.deadline' AS BIGINT)) AS deadline_at,
    attributes ->> 'rota.slot.verdict' AS verdict,
    attributes ->> 'rota.state.reason' AS reason,
    TRY_CAST(attributes ->> 'rota.slot.revision' AS INTEGER) AS revision,
    run_id,
    TRY_CAST(attributes ->> 'rota.policy.version' AS INTEGER) AS policy_version
FROM logs
WHERE event_name = 'rota.slot.verdict';

-- What happened to incidents: a row a transition.
CREATE OR REPLACE VIEW incident_events AS
SELECT
    logged_at AS happened_at,
    event_id,
    TRY_CAST(attributes ->> 'rota.incident.id' AS UUID) AS incident_id,
    attributes ->> 'rota.incident.kind' AS kind,
    workflow,                                                 -- NULL: of several, see group_id
    attributes ->> 'rota.instance.host' AS host,
    attributes ->> 'rota.incident.transition' AS transition,
    attributes ->> 'rota.incident.summary' AS summary,
    make_timestamp_ns(TRY_CAST(attributes ->> 'rota.incident.opened' AS BIGINT)) AS opened_at,
    run_id,
    TRY_CAST(attributes ->> 'rota.incident.group' AS UUID) AS group_id,  -- of the incident that speaks for it
    attributes ->> 'rota.incident.by' AS "by"
FROM logs
WHERE event_name = 'rota.incident';

-- What gates decided of runs and of their tasks: the collector's decisions, and those that a host made blind.
CREATE OR REPLACE VIEW decisions AS
SELECT
    logged_at AS happened_at,
    event_id,
    run_id,
    workflow,
    TRY_CAST(attributes ->> 'rota.attempt' AS INTEGER) AS attempt,
    task,
    attributes ->> 'rota.gate.answer' AS answer,              -- go, wait, skip, deny
    attributes ->> 'rota.state.reason' AS reason,
    TRY_CAST(attributes ->> 'rota.gate.number' AS INTEGER) AS gate,  -- that decided, its place in the policy; NULL: all say go
    attributes ->> 'rota.gate.kind' AS kind,
    coalesce(host, attributes ->> 'host.name') AS host,
    attributes ->> 'rota.gate.ticket' AS ticket,
    attributes ->> 'rota.source' AS source,
    CASE WHEN json_valid(body) THEN body :: JSON END AS answers  -- what each gate said, and the facts of it
FROM logs
WHERE event_name = 'rota.gate.decision';

-- name: not_stored
-- Which rows of a batch have keys that are not stored yet. Of the keys alone: a join of whole rows would make each of them anew,
-- and give them back in the order of its hash table, in which a trace no longer lies together.
SELECT "row" FROM batch ANTI JOIN ({known}) AS known USING ({keys});

-- name: known
-- Keys stored in one stretch of time. The bounds are literal, so that only row groups of that time are read.
SELECT {keys} FROM {table}
WHERE {time} BETWEEN make_timestamp_ns({first_ns}) AND make_timestamp_ns({last_ns})

-- name: append
-- New rows, in the order in which they lie in the batch.
INSERT INTO {table} BY NAME SELECT * FROM batch;

-- name: advance
UPDATE progress SET next_offset = ?;

-- name: offset
SELECT next_offset FROM progress;

-- name: remember_requests
INSERT INTO requests SELECT * FROM batch;

-- name: recent_requests
-- All of them, oldest first: the table is kept short. A LIMIT would set aside 30 MB for as many rows, however few there are.
SELECT hash, journal_offset FROM requests ORDER BY journal_offset;

-- name: forget_requests
DELETE FROM requests WHERE journal_offset < ?;

-- name: held_bytes
-- What DuckDB holds: of tables, in pages that it may drop whenever it needs their place and in rows that wait for the next
-- checkpoint; and all else, which is of queries and inserts.
SELECT coalesce(sum(memory_usage_bytes) FILTER (tag IN ('BASE_TABLE', 'IN_MEMORY_TABLE')), 0)::BIGINT,
       coalesce(sum(memory_usage_bytes) FILTER (tag NOT IN ('BASE_TABLE', 'IN_MEMORY_TABLE')), 0)::BIGINT
FROM duckdb_memory();

-- name: export
-- The rows of a table in [since, until), as they are stored.
SELECT * FROM {table}
WHERE ($since_ns IS NULL OR {time} >= make_timestamp_ns($since_ns)) AND ($until_ns IS NULL OR {time} < make_timestamp_ns($until_ns))
  AND ($workflow IS NULL OR workflow = $workflow) AND ($pattern IS NULL OR workflow GLOB $pattern);

-- name: text_columns
-- Columns of a table that leave the database as text.
SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND data_type IN ('UUID', 'JSON') ORDER BY column_index;

-- name: view_of_files
CREATE VIEW {table} AS SELECT * REPLACE ({casts}) FROM read_parquet('{table}-*.parquet');
-- name: path
SELECT path FROM duckdb_databases() WHERE database_name = current_database();

-- name: count
SELECT count(*) FROM {table};

-- name: read_all
-- All rows, and every value of them.
SELECT count(*), bit_xor(hash(each)) FROM {table} AS each;

-- name: oldest
SELECT epoch_ns(min({time})) FROM {table} WHERE {rows};

-- name: delete_before
DELETE FROM {table} WHERE {time} < make_timestamp_ns({before_ns}) AND ({rows});

-- name: database_size
SELECT block_size, total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = current_database();

-- name: copy_table
DELETE FROM {table};
INSERT INTO {table} BY NAME SELECT * FROM source.{table};

-- name: count_source
SELECT count(*) FROM source.{table};

-- name: time_shares
-- The times before which these shares of the rows lie.
SELECT approx_quantile(epoch_ns({time}), ? :: FLOAT[]) FROM source.{table};

-- name: copy_stretch
INSERT INTO {table} BY NAME SELECT * FROM source.{table}
WHERE ($first :: BIGINT IS NULL OR {time} >= make_timestamp_ns($first :: BIGINT))
  AND ($last :: BIGINT IS NULL OR {time} < make_timestamp_ns($last :: BIGINT))
ORDER BY {order}, {time};

-- name: run_spans
-- The spans of a run, in order of their start; with $span_id that one alone.
SELECT
    replace(trace_id :: VARCHAR, '-', '') AS trace_id,
    format('{:016x}', span_id) AS span_id,
    format('{:016x}', parent_span_id) AS parent_span_id,
    name,
    ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'][kind + 1] AS kind,
    epoch_ns(started_at) AS started_ns,
    epoch_ns(started_at) + duration_ns AS ended_ns,
    duration_ns / 1e9 AS duration_seconds,
    ['unset', 'ok', 'error'][status + 1] AS status,
    status_message,
    attributes,
    events,
    scope
FROM spans
WHERE run_id = $run_id :: UUID AND ($span_id :: UBIGINT IS NULL OR span_id = $span_id)
ORDER BY started_at, span_id
LIMIT $limit;

-- name: span_columns
-- The shape of a run, for drawing: each span without its attributes, and each task that has only begun, in order of their
-- start. When there are more than fit, those that failed come first, then the longest: what holds the others together.
SELECT span_id, parent_span_id, name, kind, is_task, started_ns, duration_ns, is_failed, calls, total
FROM (
    SELECT *, count(*) OVER () AS total
    FROM (
        SELECT span_id, parent_span_id, name, kind, task IS NOT NULL AS is_task, epoch_ns(started_at) AS started_ns,
               duration_ns, status = 2 AS is_failed, calls
        FROM spans
        WHERE run_id = $run_id :: UUID
        UNION ALL
        SELECT span_id, try_cast('0x' || (attributes ->> 'rota.task.parent.id') AS UBIGINT), task, 1, true, epoch_ns(logged_at),
               NULL, false, NULL
        FROM logs
        WHERE run_id = $run_id :: UUID AND event_name = 'rota.task.state'
          AND span_id NOT IN (SELECT span_id FROM spans WHERE run_id = $run_id :: UUID)
    )
    ORDER BY is_failed DESC, duration_ns DESC NULLS FIRST
    LIMIT $limit
)
ORDER BY started_ns, span_id;

-- name: run_logs
-- The log records of a run that pass: the last ones, in order of their time, and of one time in the order of arrival.
SELECT * EXCLUDE (place) FROM (
    SELECT
        rowid AS place,
        epoch_ns(logged_at) AS at_ns,
        coalesce(severity_text, ['trace', 'debug', 'info', 'warn', 'error', 'fatal'][(severity + 3) // 4]) AS severity,
        event_name,
        body,
        attributes,
        replace(trace_id :: VARCHAR, '-', '') AS trace_id,
        format('{:016x}', span_id) AS span_id
    FROM logs
    WHERE run_id = $run_id :: UUID
      AND (NOT $told OR event_name IS NULL OR event_name NOT IN
           ('rota.run.state', 'rota.task.state', 'rota.slot.verdict', 'rota.incident', 'rota.gate.decision'))
      AND severity >= $severity
      AND ($text IS NULL OR contains(lower(body), lower($text)) OR contains(lower(attributes), lower($text)))
    ORDER BY logged_at DESC, rowid DESC
    LIMIT $limit
)
ORDER BY at_ns, place;

-- name: found_logs
-- Log records of any runs in [since, until), the last first; rows of one time in a fixed order, so that pages can be cut there.
WITH found AS MATERIALIZED (
    SELECT rowid AS id FROM logs
    WHERE logged_at >= make_timestamp_ns($since_ns) AND logged_at < make_timestamp_ns($until_ns)
      AND ($workflow IS NULL OR workflow = $workflow)
      AND ($pattern IS NULL OR workflow GLOB $pattern)
      AND severity >= $severity
      AND (NOT $told OR event_name IS NULL OR event_name NOT IN
           ('rota.run.state', 'rota.task.state', 'rota.slot.verdict', 'rota.incident', 'rota.gate.decision'))
      AND ($text IS NULL OR contains(lower(body), lower($text)) OR contains(lower(attributes), lower($text)))
    ORDER BY logged_at DESC, span_id, event_id, body, attributes
    LIMIT $limit OFFSET $skip
)
SELECT
    epoch_ns(logged_at) AS at_ns,
    coalesce(severity_text, ['trace', 'debug', 'info', 'warn', 'error', 'fatal'][(severity + 3) // 4]) AS severity,
    event_name,
    body,
    attributes,
    replace(trace_id :: VARCHAR, '-', '') AS trace_id,
    format('{:016x}', span_id) AS span_id,
    run_id :: VARCHAR AS run_id,
    workflow,
    service,
    host
FROM logs
WHERE rowid IN (SELECT id FROM found)
ORDER BY logged_at DESC, span_id, event_id, body, attributes;

-- name: found_spans
-- The same of spans.
WITH found AS MATERIALIZED (
    SELECT rowid AS id FROM spans
    WHERE started_at >= make_timestamp_ns($since_ns) AND started_at < make_timestamp_ns($until_ns)
      AND ($workflow IS NULL OR workflow = $workflow)
      AND ($pattern IS NULL OR workflow GLOB $pattern)
      AND (NOT $failed OR status = 2)
      AND ($min_duration_ns IS NULL OR duration_ns >= $min_duration_ns)
      AND ($text IS NULL OR contains(lower(name), lower($text)) OR contains(lower(status_message), lower($text))
           OR contains(lower(attributes), lower($text)))
    ORDER BY started_at DESC, span_id, trace_id
    LIMIT $limit OFFSET $skip
)
SELECT
    epoch_ns(started_at) AS started_ns,
    epoch_ns(started_at) + duration_ns AS ended_ns,
    duration_ns / 1e9 AS duration_seconds,
    name,
    ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'][kind + 1] AS kind,
    ['unset', 'ok', 'error'][status + 1] AS status,
    status_message,
    attributes,
    scope,
    replace(trace_id :: VARCHAR, '-', '') AS trace_id,
    format('{:016x}', span_id) AS span_id,
    format('{:016x}', parent_span_id) AS parent_span_id,
    run_id :: VARCHAR AS run_id,
    workflow,
    service,
    host
FROM spans
WHERE rowid IN (SELECT id FROM found)
ORDER BY started_at DESC, span_id, trace_id;

-- name: run_attributes
-- What the states of a run say beside the state: of each resource and record, the last first.
SELECT resource, attributes
FROM logs
WHERE run_id = ? :: UUID AND event_name = 'rota.run.state'
ORDER BY logged_at DESC
LIMIT 100;

-- name: run_work
-- What a run did, by the name of its tasks, in order of their first start.
SELECT
    task AS name,
    count(*) AS count,
    count(*) FILTER (status = 2) AS failed,
    sum(duration_ns) / 1e9 AS duration_seconds,
    min(epoch_ns(started_at)) AS started_ns
FROM spans
WHERE run_id = ? :: UUID AND task IS NOT NULL
GROUP BY task
ORDER BY started_ns
LIMIT 1000;

-- name: run_facts
-- The numbers that the tasks of a run recorded, added up. A recorded fact has a plain name; names with dots are of conventions.
-- Of flat attributes, which nearly all are, they are cut out of the text: inside a JSON string each quote has a backslash.
WITH told AS (
    SELECT task, attributes, contains(attributes[2:], '{') AS is_nested
    FROM spans
    WHERE run_id = $1 :: UUID AND task IS NOT NULL
), facts AS (
    SELECT task, split_part(pair, '"', 2) AS fact, TRY_CAST(split_part(pair, ':', 2) AS DOUBLE) AS value
    FROM (
        SELECT task, unnest(regexp_extract_all(attributes, '"[A-Za-z_][A-Za-z0-9_]*":-?[0-9][0-9.eE+-]*')) AS pair
        FROM told WHERE NOT is_nested
    )
    UNION ALL
    SELECT task, fact.key, TRY_CAST(fact.value AS DOUBLE)
    FROM (SELECT task, unnest(map_entries(TRY_CAST(attributes AS MAP(VARCHAR, JSON)))) AS fact FROM told WHERE is_nested)
    WHERE regexp_full_match(fact.key, '[A-Za-z_][A-Za-z0-9_]*') AND json_type(fact.value) IN ('UBIGINT', 'BIGINT', 'DOUBLE')
)
SELECT task AS name, fact, sum(value) AS total FROM facts GROUP BY task, fact LIMIT 1000;

-- name: run_history
-- All that was told and decided about a run, in order of its time.
SELECT epoch_ns(happened_at) AS at_ns, 'run' AS kind, state AS word, source AS said_by, reason, attempt, raw_state AS detail
FROM run_events
WHERE run_id = $run_id :: UUID
UNION ALL
SELECT epoch_ns(happened_at), 'slot', verdict, 'collector', reason, NULL, strftime(due_at, '%Y-%m-%dT%H:%M:%SZ')
FROM slot_events
WHERE run_id = $run_id :: UUID
UNION ALL
SELECT epoch_ns(happened_at), 'incident', transition, coalesce("by", 'collector'), kind, NULL, summary
FROM incident_events
WHERE run_id = $run_id :: UUID
UNION ALL
SELECT epoch_ns(happened_at), 'decision', answer, coalesce(source, 'collector'), reason, attempt, coalesce(task, kind)
FROM decisions
WHERE run_id = $run_id :: UUID
ORDER BY at_ns
LIMIT $limit;

-- name: run_decisions
-- What gates decided of a run and of its tasks, in order of its time.
SELECT event_id :: VARCHAR AS id, epoch_ns(happened_at) AS at_ns, attempt, task, answer, reason, gate, kind, host, ticket, source, answers
FROM decisions
WHERE run_id = $run_id :: UUID
ORDER BY at_ns, id
LIMIT $limit;

-- name: run_metrics
-- What was measured of a run: series of at most so many points, each the mean of its stretch of time.
SELECT name, unit, attributes, epoch_ns(min(measured_at)) AS at_ns, avg(coalesce(value, sum / nullif(count, 0))) AS value
FROM (
    SELECT *, ntile($points) OVER (PARTITION BY name, unit, attributes ORDER BY measured_at) AS stretch
    FROM metrics
    WHERE run_id = $run_id :: UUID
)
GROUP BY name, unit, attributes, stretch
ORDER BY name, attributes, at_ns
LIMIT 20000;

-- name: incident_history
-- All that happened to an incident.
SELECT epoch_ns(happened_at) AS at_ns, transition, summary, "by"
FROM incident_events
WHERE incident_id = ? :: UUID
ORDER BY happened_at
LIMIT 1000;

-- name: signals
-- Which kinds of things these runs reported, and how many of them; what failed, of the last of them.
SELECT
    count(*) FILTER (task IS NOT NULL) AS tasks,
    count(*) FILTER (task IS NOT NULL AND status = 2 AND run_id = $last :: UUID) AS failed_tasks,
    count(*) FILTER (contains(events :: VARCHAR, '"exception"')) AS exceptions,
    count(*) FILTER (contains(attributes, '"rota.dataset.')) AS datasets,
    count(*) FILTER (task IS NOT NULL AND regexp_matches(attributes, '"[A-Za-z_][A-Za-z0-9_]*":-?[0-9]')) AS facts,
    count(*) FILTER (contains(attributes, '"db.system')) AS databases,
    count(*) FILTER (contains(attributes, '"http.request.') OR contains(attributes, '"http.method"')) AS http,
    count(*) FILTER (kind IN (3, 4, 5)) AS systems,
    count(*) FILTER (kind IN (3, 4, 5) AND status = 2 AND run_id = $last :: UUID) AS failed_systems
FROM spans
WHERE run_id IN (SELECT unnest($run_ids :: UUID[])) AND started_at >= make_timestamp_ns($since_ns);

-- name: told_signals
-- The same of their log records and metrics.
SELECT
    count(*) FILTER (event_name = 'rota.run.state' AND contains(attributes, '"process.exit.code"')) AS exit_codes,
    count(*) FILTER (event_name = 'rota.run.state' AND contains(attributes, '"rota.process.signal"')) AS signals,
    count(*) FILTER (contains(attributes, '"rota.process.cpu.')) AS cpu,
    count(*) FILTER (contains(attributes, '"rota.process.memory.')) AS memory,
    count(*) FILTER (host IS NOT NULL) AS hosts,
    count(*) FILTER (event_name = 'rota.output') AS output,
    count(*) FILTER (event_name IS NULL) AS logging,
    count(*) FILTER (contains(attributes, '"exception.stacktrace"')) AS stacks,
    count(*) FILTER (event_name = 'rota.run.state' AND regexp_matches(attributes, '"[A-Za-z_][A-Za-z0-9_]*":-?[0-9]')) AS recorded
FROM logs
WHERE run_id IN (SELECT unnest($run_ids :: UUID[])) AND logged_at >= make_timestamp_ns($since_ns);

-- name: measured_signals
SELECT DISTINCT name FROM metrics
WHERE run_id IN (SELECT unnest($run_ids :: UUID[])) AND measured_at >= make_timestamp_ns($since_ns)
LIMIT 100;

-- name: run_functions
-- The names of the tasks that these runs did, by run.
SELECT DISTINCT run_id :: VARCHAR AS run_id, task FROM spans
WHERE run_id IN (SELECT unnest($run_ids :: UUID[])) AND started_at >= make_timestamp_ns($since_ns) AND task IS NOT NULL
LIMIT 20000;

-- name: last_sign
-- When something was last heard of a run, Unix ns: its spans and its records, but not what the collector says of it.
SELECT coalesce(max(at_ns), 0) FROM (
    SELECT max(epoch_ns(started_at) + coalesce(duration_ns, 0)) AS at_ns FROM spans WHERE run_id = $1 :: UUID
    UNION ALL
    SELECT max(epoch_ns(logged_at)) FROM logs
    WHERE run_id = $1 :: UUID AND coalesce(event_name, '') NOT IN ('rota.slot.verdict', 'rota.incident', 'rota.gate.decision')
);

-- name: run_attempts
-- The attempts of a run. Of one that was tried again, the word that said so tells how it ended, whatever came later.
SELECT
    attempt,
    coalesce(tried, latest).state AS state,
    coalesce(tried, latest).reason AS reason,
    coalesce(tried, latest).exit_code AS exit_code,
    epoch_ns(began_at) AS started_ns,
    epoch_ns(coalesce(tried, latest).happened_at) AS told_ns,
    error.error_type AS error_type,
    error.message AS error_message
FROM (
    SELECT
        attempt,
        arg_max({state: state, reason: reason, exit_code: exit_code, happened_at: happened_at}, state_key) AS latest,
        arg_max({state: state, reason: reason, exit_code: exit_code, happened_at: happened_at}, state_key)
            FILTER (state = 'retry_wait') AS tried,
        arg_max({error_type: error_type, message: error_message}, state_key) FILTER (error_type IS NOT NULL) AS error,
        coalesce(min(happened_at) FILTER (state IN ('starting', 'running')), min(started_at)) AS began_at
    FROM run_events
    WHERE run_id = ? :: UUID
    GROUP BY attempt
)
ORDER BY attempt
LIMIT ?;

-- name: run_tasks
-- All tasks of a run, running ones too, in order of their start.
SELECT
    format('{:016x}', span_id) AS span_id,
    format('{:016x}', parent_span_id) AS parent_span_id,
    name,
    state,
    epoch_ns(started_at) AS started_ns,
    epoch_ns(started_at) + round(duration_seconds * 1e9) :: BIGINT AS ended_ns,
    duration_seconds,
    error_type,
    error_message,
    attributes
FROM tasks
WHERE run_id = ? :: UUID
ORDER BY started_at, span_id
LIMIT ?;
