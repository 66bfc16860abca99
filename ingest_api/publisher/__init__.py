"""The publisher process: appends accepted jobs to `user-events`, again where the log lost rows.

Runs as `python -m ingest_api.publisher`.
A pass is one publication of a job: all its rows, between JobOpened and JobSealed.

Owns the passes, their pace, the lease that lets one publisher work at a time, and the watchdog.
Promises that a job is published whole before the next one begins, whatever is lost or repeated.
May import `event_log`, `validation`, `parsing`, `kafka`; never Sanic.
"""
