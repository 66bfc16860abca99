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
