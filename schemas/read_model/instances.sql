-- The registry of projection instances: a row an instance, which is also the request for it.
-- Instance N has the tables of the read model in schema projection_N; the views in public
-- show the active one.

CREATE TABLE IF NOT EXISTS public.projection_instance (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purpose text NOT NULL
        CHECK (purpose IN ('live', 'rebuild', 'verify', 'upgrade', 'undo', 'preview', 'as_of')),
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'building', 'ready', 'active', 'retired', 'failed',
                         'dropped')),
    -- Of the tables (schemas.read_model.tables.VERSION), once they are made.
    version integer,
    -- Jobs whose rows its replay leaves out; null until the builder has read the log.
    reverted_job_ids bigint[],
    -- preview: jobs to leave out besides those that are reverted, or to apply again.
    preview_revert bigint,
    preview_restore bigint,
    -- as_of: where it ends, by one of the two; stop_at is that by partition, once it is known.
    as_of_time timestamptz,
    as_of_job_id bigint,
    stop_at bigint[],
    -- rebuild: switch also where the new tables are other than the live ones.
    mends boolean NOT NULL DEFAULT false,
    records_done bigint NOT NULL DEFAULT 0,
    records_total bigint NOT NULL DEFAULT 0,
    -- What it is doing: replaying, comparing, switching.
    step text,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ready_at timestamptz,
    activated_at timestamptz,
    retired_at timestamptz,
    last_used_at timestamptz NOT NULL DEFAULT now(),
    failure text,
    result jsonb,
    CHECK (num_nonnulls(as_of_time, as_of_job_id) = (purpose = 'as_of')::integer),
    CHECK (num_nonnulls(preview_revert, preview_restore) = (purpose = 'preview')::integer),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
);
-- Jobs that were cancelled before they had ended: a delsert among them that ends in tables that
-- don't leave it out yet is never shown.  Written by the API and the builder once the log says so.
CREATE TABLE IF NOT EXISTS public.cancelled_job (job_id bigint PRIMARY KEY);
CREATE UNIQUE INDEX IF NOT EXISTS projection_instance_active
    ON public.projection_instance (state) WHERE state = 'active';
-- One at a time of those that may end in a switch.
CREATE UNIQUE INDEX IF NOT EXISTS projection_instance_one_at_work
    ON public.projection_instance ((true))
    WHERE purpose IN ('rebuild', 'verify', 'upgrade', 'undo') AND state IN ('requested', 'building');
-- Where the API has a role of its own, the owner of its schema, it is let ask for instances.
DO $$
DECLARE
    api regrole := (SELECT nspowner FROM pg_namespace
                    WHERE nspname = 'rollcall_api' AND pg_get_userbyid(nspowner) <> current_user);
BEGIN
    IF api IS NOT NULL THEN
        EXECUTE 'GRANT SELECT, INSERT, UPDATE ON public.projection_instance TO ' || api;
        EXECUTE 'GRANT SELECT, INSERT ON public.cancelled_job TO ' || api;
    END IF;
END
$$;
