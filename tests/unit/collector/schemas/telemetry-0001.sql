-- The tables of telemetry.duckdb as schema 1 made them. Never changed: files of that time are out there.
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
    attributes JSON NOT NULL,
    events JSON,                         -- array, NULL without any
    links JSON,                          -- array, NULL without any
    dropped UINTEGER NOT NULL,           -- attributes, events and links that the sender left out
    trace_state VARCHAR,
    flags UTINYINT NOT NULL,
    scope VARCHAR,
    scope_version VARCHAR,
    scope_attributes JSON,
    resource JSON NOT NULL
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
    body VARCHAR,                        -- a string as it is, anything else as JSON
    service VARCHAR,
    host VARCHAR,
    attributes JSON NOT NULL,
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
    attributes JSON NOT NULL,
    point JSON NOT NULL,                 -- the rest of the point: buckets, quantiles, exemplars, temporality, …
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
    error_stack VARCHAR,
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
