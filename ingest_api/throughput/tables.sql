-- How far the log and the tables were, a sample a minute for a day, of whichever API process was
-- first in it.
CREATE TABLE IF NOT EXISTS rollcall_api.throughput_sample (
    minute timestamptz PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT now(),
    appended bigint NOT NULL,
    applied bigint NOT NULL
);
