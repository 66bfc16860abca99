-- Who is told of what, and what became of it. An account's webhooks go with it, and a token's.
SELECT pg_advisory_xact_lock(8203471465926519);

CREATE TABLE IF NOT EXISTS rollcall_api.webhook (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    account text GENERATED ALWAYS AS (CASE WHEN position('/' IN owner) = 0 THEN owner END) STORED
        REFERENCES rollcall_api.account ON DELETE CASCADE,
    token text GENERATED ALWAYS AS (CASE WHEN owner LIKE 'token/%' THEN substr(owner, 7) END) STORED
        REFERENCES rollcall_api.token (name) ON DELETE CASCADE,
    url text NOT NULL,
    secret text NOT NULL,
    events text[] NOT NULL,
    own_jobs boolean NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS rollcall_api.notice (
    id text PRIMARY KEY, -- webhook-id
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS rollcall_api.delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL REFERENCES rollcall_api.webhook ON DELETE CASCADE,
    notice_id text NOT NULL REFERENCES rollcall_api.notice ON DELETE CASCADE,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz DEFAULT now(), -- null once it is delivered or given up
    delivered_at timestamptz,
    tried_at timestamptz,
    status integer,
    answer text,
    UNIQUE (webhook_id, notice_id)
);
CREATE INDEX IF NOT EXISTS delivery_due ON rollcall_api.delivery (due_at) WHERE due_at IS NOT NULL;

-- The last end of each job that there was a notice of.
CREATE TABLE IF NOT EXISTS rollcall_api.noticed_job (
    job_id bigint PRIMARY KEY,
    state text NOT NULL
);

CREATE TABLE IF NOT EXISTS rollcall_api.noticed_alarm (
    component text PRIMARY KEY,
    raised_at timestamptz NOT NULL
);
