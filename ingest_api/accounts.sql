-- Who may use the API. The lock keeps API processes that start together from
-- racing for the names: IF NOT EXISTS is not safe against concurrent creation.
SELECT pg_advisory_xact_lock(8203471465926519);

CREATE SCHEMA IF NOT EXISTS rollcall_api;

CREATE TABLE IF NOT EXISTS rollcall_api.account (
    name text PRIMARY KEY CHECK (name <> '' AND position(':' IN name) = 0),
    role text NOT NULL CHECK (role IN ('reader', 'importer', 'admin')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);

-- The password of ROLLCALL_ADMIN_PASSWORD that was last given to the account admin.
CREATE TABLE IF NOT EXISTS rollcall_api.admin_setting (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%')
);

-- A token's secret has 256 random bits, so a plain hash of it can't be guessed back.
CREATE TABLE IF NOT EXISTS rollcall_api.token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> '' AND name !~ '[:/]'),
    role text NOT NULL CHECK (role IN ('reader', 'importer', 'admin')),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz
);
