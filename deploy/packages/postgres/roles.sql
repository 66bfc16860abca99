-- Roles of Rollcall's services in Postgres, each with the least rights that it works with.
--
-- Apply it to Rollcall's own database before the services start for the first time, as a role that
-- may create roles and owns the database: psql --set ON_ERROR_STOP=1 --file roles.sql
-- It changes nothing where it was applied before, so it may be applied after every upgrade.
-- Passwords are not set here: \password rollcall_api, \password rollcall_processor
--
--   rollcall_api        API and publisher: reads everything, writes accounts, tokens and requests
--   rollcall_processor  processors and builder: owns the tables made from the log, and makes them
--   rollcall_reader     a group: whoever is granted it reads the views in public, users among them

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['rollcall_api', 'rollcall_processor', 'rollcall_reader'] LOOP
        IF to_regrole(role) IS NULL THEN
            EXECUTE format('CREATE ROLE %I', role);
        END IF;
    END LOOP;
    ALTER ROLE rollcall_api LOGIN;
    ALTER ROLE rollcall_processor LOGIN;

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO rollcall_reader', current_database());
    -- Dry runs and batches stage their lines in temporary tables.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO rollcall_api', current_database());
    -- Every rebuild and undo makes a schema of its own.
    EXECUTE format(
        'GRANT CONNECT, TEMPORARY, CREATE ON DATABASE %I TO rollcall_processor', current_database()
    );
    -- Who creates a schema for another role must be able to be that role.
    EXECUTE format('GRANT rollcall_api, rollcall_processor TO %I', current_user);
END
$$;

-- The owner of this schema is whom the processors allow to ask for rebuilds, undos and looks back.
CREATE SCHEMA IF NOT EXISTS rollcall_api AUTHORIZATION rollcall_api;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO rollcall_processor;
GRANT USAGE ON SCHEMA public TO rollcall_api, rollcall_reader;

-- What the processors will make.
ALTER DEFAULT PRIVILEGES FOR ROLE rollcall_processor GRANT USAGE ON SCHEMAS TO rollcall_api;
ALTER DEFAULT PRIVILEGES FOR ROLE rollcall_processor GRANT SELECT ON TABLES TO rollcall_api;
ALTER DEFAULT PRIVILEGES FOR ROLE rollcall_processor IN SCHEMA public
    GRANT SELECT ON TABLES TO rollcall_reader;

-- `rollcall erase` and `rollcall rekey` run as rollcall_processor, move the rows of one table with
-- the log, and are told by the audit log; both tables are there once an API has been started, so
-- apply this file once more before them.
DO $$
BEGIN
    IF to_regclass('rollcall_api.audit') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA rollcall_api TO rollcall_processor;
        GRANT SELECT, INSERT, DELETE ON rollcall_api.dead_letter_retry TO rollcall_processor;
        GRANT SELECT, INSERT ON rollcall_api.audit TO rollcall_processor;
    END IF;
END
$$;
