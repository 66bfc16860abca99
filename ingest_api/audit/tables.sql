-- The audit log. An act has one row before it is done and another one with its result. Rows are
-- only ever added: each has the hash of itself and of the row before, and numbers without a gap,
-- so that a row that is changed or missing shows.
SELECT pg_advisory_xact_lock(8203471465926519);

CREATE TABLE IF NOT EXISTS rollcall_api.audit (
    id bigint PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    act_id bigint UNIQUE REFERENCES rollcall_api.audit, -- whose result this row is
    account text,
    role text,
    kind text,
    target text,
    address text,
    request_id text,
    status integer,
    details jsonb NOT NULL DEFAULT '{}',
    hash bytea NOT NULL,
    CHECK (CASE WHEN act_id IS NULL THEN account IS NOT NULL AND kind IS NOT NULL AND status IS NULL
                ELSE account IS NULL AND kind IS NULL AND status IS NOT NULL END)
);

CREATE OR REPLACE FUNCTION rollcall_api.audit_hash(previous bytea, entry rollcall_api.audit)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(previous, '') || convert_to(jsonb_build_array(
        entry.id, (extract(epoch FROM entry.recorded_at) * 1000000)::bigint, entry.act_id,
        entry.account, entry.role, entry.kind, entry.target, entry.address, entry.request_id,
        entry.status, entry.details)::text, 'UTF8'))
$$;

CREATE OR REPLACE FUNCTION rollcall_api.append_to_audit()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last rollcall_api.audit;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'rows of the audit log are only ever added';
    END IF;
    PERFORM pg_advisory_xact_lock(8203471465926520);
    SELECT * INTO last FROM rollcall_api.audit ORDER BY id DESC LIMIT 1;
    NEW.id := coalesce(last.id, 0) + 1;
    NEW.recorded_at := clock_timestamp();
    NEW.hash := rollcall_api.audit_hash(last.hash, NEW);
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER append_only
BEFORE INSERT OR UPDATE OR DELETE ON rollcall_api.audit
FOR EACH ROW EXECUTE FUNCTION rollcall_api.append_to_audit();

CREATE OR REPLACE TRIGGER never_emptied
BEFORE TRUNCATE ON rollcall_api.audit
FOR EACH STATEMENT EXECUTE FUNCTION rollcall_api.append_to_audit();
