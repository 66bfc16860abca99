-- The API's own tables: who may use it, and which dead letters it has sent again. The lock keeps API processes that start together from
-- racing for the names: IF NOT EXISTS is not safe against concurrent creation.
SELECT pg_advisory_xact_lock(8203471465926519);

-- IF NOT EXISTS would still ask for the right to create schemas, which the API's role need not have.
DO $$
BEGIN
    IF to_regnamespace('rollcall_api') IS NULL THEN
        CREATE SCHEMA rollcall_api;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS rollcall_api.account (
    name text PRIMARY KEY CHECK (name <> '' AND position(':' IN name) = 0),
    role text NOT NULL,
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);

-- A token's secret has 256 random bits, so a plain hash of it can't be guessed back.
CREATE TABLE IF NOT EXISTS rollcall_api.token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> '' AND name !~ '[:/]'),
    role text NOT NULL,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz
);

-- A session counts for as long as its account has the password that it was signed in with.
CREATE TABLE IF NOT EXISTS rollcall_api.session (
    secret_sha256 bytea PRIMARY KEY CHECK (octet_length(secret_sha256) = 32),
    account text NOT NULL REFERENCES rollcall_api.account ON DELETE CASCADE,
    password_hash text NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Dead letters that were sent to the log once more, a row an attempt. Neither a rebuild of the
-- read model nor a restart forgets them. A topic that is made anew may have a dead letter at the
-- same place, so the time at which the record became one is part of its identity.
CREATE TABLE IF NOT EXISTS rollcall_api.dead_letter_retry (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    buried_ms bigint NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    retried_by text NOT NULL,
    retried_at timestamptz NOT NULL DEFAULT now(),
    to_partition integer NOT NULL,
    to_offset bigint, -- null while it is not known whether the record arrived
    PRIMARY KEY (topic, partition, "offset", buried_ms, attempt)
);

-- Not in the tables above, which may be of a version that knew fewer roles.
ALTER TABLE rollcall_api.account
    DROP CONSTRAINT IF EXISTS account_role_check,
    ADD CONSTRAINT account_role_check CHECK (role IN ('reader', 'importer', 'manager', 'admin'));
ALTER TABLE rollcall_api.token
    DROP CONSTRAINT IF EXISTS token_role_check,
    ADD CONSTRAINT token_role_check CHECK (role IN ('reader', 'importer', 'manager', 'admin'));
