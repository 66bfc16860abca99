-- The tables of one projection instance, in a Postgres schema of their own ({schema}).
-- What readers use are the views at the end, and of the active instance those of the same
-- names in public.

CREATE SCHEMA IF NOT EXISTS {schema};

-- One row: what the projection was built with, and the generation that readers see.
CREATE TABLE IF NOT EXISTS {schema}.projection (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version integer NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0),
    reconciliation_key text NOT NULL,
    active_generation integer
);

-- A generation is one full set of user rows; job_id is the delsert that made it.
CREATE TABLE IF NOT EXISTS {schema}.generation (
    generation integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    retired_at timestamptz
);

-- How far each partition of user-events has been projected, and by whom.
-- The state of the job that is open there moves in the same UPDATE as next_offset.
CREATE TABLE IF NOT EXISTS {schema}.projection_offset (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    epoch bigint NOT NULL,
    holder_pid integer,
    generation integer NOT NULL REFERENCES {schema}.generation,
    is_indexed boolean NOT NULL,
    sealed_job_id bigint NOT NULL,
    open_job_id bigint,
    open_mode text CHECK (open_mode IN ('insert', 'upsert', 'delsert', 'update', 'ignore', 'delete')),
    open_fills integer NOT NULL DEFAULT 0,
    next_sequence bigint NOT NULL,
    digest bigint NOT NULL,
    -- Of the job that is open: its rows never opt in who has opted out.
    keeps_opt_outs boolean NOT NULL DEFAULT false,
    -- False as long as no row has opted anybody out here: then there is nothing to keep.
    has_opt_outs boolean NOT NULL DEFAULT false,
    -- From the next record on nothing of the publisher or of the API counts without a digest.
    requires_digests boolean NOT NULL DEFAULT false,
    PRIMARY KEY (topic, partition),
    CHECK ((open_job_id IS NULL) = (open_mode IS NULL))
);

-- Rows of all generations: user_row / a table a generation / a table a log partition.
-- Only the leaves have indexes (unique key, unique id), so that a new generation
-- can be filled by COPY and indexed afterwards.
CREATE TABLE IF NOT EXISTS {schema}.user_row (
    generation integer NOT NULL,
    partition integer NOT NULL,
    id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    first_name text,
    last_name text,
    email text,
    mobile_number text,
    country text,
    state text,
    last_active_date date,
    sms_subscription boolean NOT NULL,
    email_subscription boolean NOT NULL,
    voice_subscription boolean NOT NULL,
    attributes jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    job_id bigint,
    record_number integer,
    -- Of the event that made the user, where another producer sent it: tells a repeat.
    event_id text,
    -- Log position, numbered as ids are, of the event that last changed the user; null
    -- where none has since it was made.
    modified_position bigint
) PARTITION BY LIST (generation);

-- The opt-outs of those who are no users (any more) in the generation that the partition writes:
-- key_hash is the SHA-256 of the key, flags the bits that they have in UserRow.present.
CREATE TABLE IF NOT EXISTS {schema}.opt_out (
    partition integer NOT NULL,
    key_hash bytea NOT NULL,
    flags integer NOT NULL CHECK (flags > 0),
    PRIMARY KEY (partition, key_hash)
);

-- How many users each leaf holds, moved in the transaction that changes it.
CREATE TABLE IF NOT EXISTS {schema}.user_count (
    generation integer NOT NULL,
    partition integer NOT NULL,
    users bigint NOT NULL CHECK (users >= 0),
    PRIMARY KEY (generation, partition)
);

-- Custom attributes, and the partitions whose log has come past their definition.
CREATE TABLE IF NOT EXISTS {schema}.attribute (
    name text PRIMARY KEY,
    type text NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'date')),
    is_reconciliation_key boolean NOT NULL,
    is_indexed boolean NOT NULL,
    defined_at timestamptz NOT NULL,
    defined_by text NOT NULL
);
-- A partition stores values by the first definition in its own log.
CREATE TABLE IF NOT EXISTS {schema}.attribute_partition (
    name text NOT NULL REFERENCES {schema}.attribute,
    partition integer NOT NULL,
    type text NOT NULL,
    PRIMARY KEY (name, partition)
);

-- What became of the writes of single users that the API appended; kept for an hour.
-- position: log position of the write, numbered as ids are, so that a repeat is told by it.
-- By partition: what comes of an id must not depend on which partition is projected first.
CREATE TABLE IF NOT EXISTS {schema}.write_outcome (
    event_id text NOT NULL,
    position bigint NOT NULL,
    partition integer NOT NULL GENERATED ALWAYS AS ((position - 1) >> 48) STORED,
    outcome text NOT NULL
        CHECK (outcome IN ('inserted', 'updated', 'unchanged', 'deleted', 'rejected')),
    user_id bigint,
    code text,
    reason text,
    "column" text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, partition),
    CHECK ((outcome = 'rejected') = (code IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS write_outcome_recorded_at ON {schema}.write_outcome (recorded_at);

CREATE TABLE IF NOT EXISTS {schema}.job (
    job_id bigint PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('insert', 'upsert', 'delsert', 'update', 'ignore', 'delete')),
    lines bigint NOT NULL,
    file_name text,
    sha256 text NOT NULL,
    accepted_at timestamptz NOT NULL,
    accepted_by text NOT NULL,
    -- When the log has the job from: its first JobOpened of all partitions, its last JobSealed.
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    sealed_partitions integer NOT NULL DEFAULT 0,
    -- REVERTED: the projection leaves out its rows.
    state text NOT NULL DEFAULT 'PROCESSING'
        CHECK (state IN ('PROCESSING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'REVERTED')),
    version bigint NOT NULL DEFAULT 1,
    CHECK ((finished_at IS NULL) = (state = 'PROCESSING'))
);

-- Outcomes by job and partition: a row has one writer, so counting never waits.
-- Beside them where the partition's log has the job, and what its JobSealed says of it.
CREATE TABLE IF NOT EXISTS {schema}.job_partition (
    -- The job's row is made last in a transaction.
    job_id bigint NOT NULL REFERENCES {schema}.job DEFERRABLE INITIALLY DEFERRED,
    partition integer NOT NULL,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    -- Users of the generation before, as it was where a delsert was opened, whose key the new
    -- one has not where it is sealed; 0 of other modes.
    deleted bigint NOT NULL DEFAULT 0,
    -- Rows of the table note.
    notes bigint NOT NULL DEFAULT 0,
    opened_offset bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    sealed_offset bigint,
    sealed_at timestamptz,
    rows bigint,
    digest bigint,
    PRIMARY KEY (job_id, partition),
    CHECK (num_nulls(sealed_offset, sealed_at, rows, digest) IN (0, 4)),
    CHECK (sealed_offset > opened_offset)
);

-- What became of a job's rows, a letter each in the order of the log; one letter where all of them
-- came to the same.  u: updated, n: unchanged, d: deleted, i: inserted, or rejected where there is
-- a rejection of it.  Lines that were rejected before they became rows, and those that are erased, have none.
CREATE TABLE IF NOT EXISTS {schema}.line_outcome (
    job_id bigint NOT NULL,
    partition integer NOT NULL,
    first_position bigint NOT NULL,
    rows integer NOT NULL,
    outcomes text COLLATE "C" NOT NULL CHECK (length(outcomes) IN (1, rows)),
    PRIMARY KEY (job_id, partition, first_position)
);

-- Outcomes of records without a job, by the source that they name ('' where they name none,
-- or can't be read) and partition: a row has one writer.  dead: dead letters; rejected: writes
-- of the API, which is told.  Times are those of the records.
CREATE TABLE IF NOT EXISTS {schema}.source_partition (
    partition integer NOT NULL,
    source text COLLATE "C" NOT NULL,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0,
    repeats bigint NOT NULL DEFAULT 0,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (partition, source)
);

CREATE TABLE IF NOT EXISTS {schema}.rejection (
    job_id bigint NOT NULL,
    record_number integer NOT NULL,
    line integer NOT NULL,
    "column" text,
    code text NOT NULL,
    reason text NOT NULL,
    value text,
    raw text NOT NULL,
    -- As it stands in the event; json keeps its text.
    further_faults json CHECK (json_typeof(further_faults) = 'array'),
    PRIMARY KEY (job_id, record_number)
);

-- What was not taken of a line as it stood, though the line counts.
CREATE TABLE IF NOT EXISTS {schema}.note (
    job_id bigint NOT NULL,
    record_number integer NOT NULL,
    line integer NOT NULL,
    "column" text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    -- Of an invalid cell that was left out.
    value text,
    PRIMARY KEY (job_id, record_number, "column", code)
);

-- Records that leave for Kafka after the transaction that made them, in order of id.
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL DEFAULT '{{}}'
);

CREATE OR REPLACE VIEW {schema}.users AS
SELECT key, id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes,
       created_at, modified_at, job_id, record_number, modified_position
FROM {schema}.user_row
WHERE generation = (SELECT active_generation FROM {schema}.projection);

-- For readers that page through users, and so name the generation in their statements:
-- only then is a plan made of its leaves alone, however many generations are kept.
-- user_leaves has a row without a partition where no leaf has been counted yet.
CREATE OR REPLACE VIEW {schema}.user_leaves AS
SELECT projection.active_generation AS generation, user_count.partition,
       COALESCE(user_count.users, 0) AS users
FROM {schema}.projection
LEFT JOIN {schema}.user_count ON user_count.generation = projection.active_generation;

CREATE OR REPLACE VIEW {schema}.user_leaf_rows AS
SELECT generation, partition, key, id, first_name, last_name, email, mobile_number, country,
       state, last_active_date, sms_subscription, email_subscription, voice_subscription,
       attributes, created_at, modified_at, job_id, record_number, modified_position
FROM {schema}.user_row;

-- How many users the view users has, without counting them.
CREATE OR REPLACE VIEW {schema}.user_total AS
SELECT COALESCE(sum(users), 0)::bigint AS total
FROM {schema}.user_count
WHERE generation = (SELECT active_generation FROM {schema}.projection);

-- Attributes that every partition knows, as one type.
-- Readers find users by one with
--     hashtextextended(attributes ->> 'tier', 0) = hashtextextended('gold', 0)
--     AND attributes ->> 'tier' = 'gold'
-- the value in its canonical text, whatever the type.  The first line is what the index of
-- an indexed attribute holds (then id, so that pages by id are read in order): a value may
-- be longer than an index entry, and hashes may collide.
CREATE OR REPLACE VIEW {schema}.attributes AS
SELECT name, type, is_reconciliation_key, is_indexed, defined_at, defined_by
FROM {schema}.attribute
WHERE (SELECT count(*) FROM {schema}.attribute_partition AS known
       WHERE known.name = attribute.name AND known.type = attribute.type)
    = (SELECT partitions FROM {schema}.projection);

-- Attributes that any partition knows, and which do: a definition on its way.
CREATE OR REPLACE VIEW {schema}.attribute_definitions AS
SELECT name, type, is_reconciliation_key, is_indexed, defined_at, defined_by,
       ARRAY(SELECT known.partition FROM {schema}.attribute_partition AS known
             WHERE known.name = attribute.name) AS partitions
FROM {schema}.attribute;

CREATE OR REPLACE VIEW {schema}.write_outcomes AS
SELECT DISTINCT ON (event_id) event_id, outcome, user_id, code, reason, "column", recorded_at
FROM {schema}.write_outcome
ORDER BY event_id, position DESC;

CREATE OR REPLACE VIEW {schema}.jobs AS
SELECT job.job_id, job.mode, job.state, job.lines,
       counts.inserted, counts.updated, counts.unchanged, counts.rejected, counts.deleted,
       counts.notes,
       job.file_name, job.sha256, job.accepted_at, job.accepted_by,
       job.started_at, job.finished_at, job.version
FROM {schema}.job,
LATERAL (
    SELECT COALESCE(sum(inserted), 0)::bigint AS inserted,
           COALESCE(sum(updated), 0)::bigint AS updated,
           COALESCE(sum(unchanged), 0)::bigint AS unchanged,
           COALESCE(sum(rejected), 0)::bigint AS rejected,
           COALESCE(sum(deleted), 0)::bigint AS deleted,
           COALESCE(sum(notes), 0)::bigint AS notes
    FROM {schema}.job_partition WHERE job_partition.job_id = job.job_id
) AS counts;

-- Where each partition of the log has a job: its rows stand between the two offsets.
CREATE OR REPLACE VIEW {schema}.job_partitions AS
SELECT job_id, partition, inserted, updated, unchanged, rejected, deleted, notes, opened_offset,
       opened_at, sealed_offset, sealed_at, rows, digest
FROM {schema}.job_partition;

CREATE OR REPLACE VIEW {schema}.line_outcomes AS
SELECT job_id, partition, first_position, rows, outcomes FROM {schema}.line_outcome;

CREATE OR REPLACE VIEW {schema}.job_states AS
SELECT job_id, state FROM {schema}.job;

CREATE OR REPLACE VIEW {schema}.rejections AS
SELECT job_id, record_number, line, "column", code, reason, value, raw, further_faults
FROM {schema}.rejection;

CREATE OR REPLACE VIEW {schema}.notes AS
SELECT job_id, record_number, line, "column", code, reason, value
FROM {schema}.note;

CREATE OR REPLACE VIEW {schema}.opt_outs AS
SELECT partition, key_hash, flags
FROM {schema}.opt_out;

-- Producers of records without a job; source is null where they name none.
CREATE OR REPLACE VIEW {schema}.sources AS
SELECT NULLIF(source, '') AS source,
       sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated,
       sum(unchanged)::bigint AS unchanged, sum(deleted)::bigint AS deleted,
       sum(rejected)::bigint AS rejected, sum(dead)::bigint AS dead,
       sum(repeats)::bigint AS repeats, min(first_at) AS first_at, max(last_at) AS last_at
FROM {schema}.source_partition
GROUP BY source;
