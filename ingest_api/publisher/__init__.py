"""A process: accepted jobs, in their order, to `user-events` (`python -m ingest_api.publisher`).

Owns the passes, the lease that lets one publisher work at a time, and the watchdog.
Promises that a job is published whole before the next one begins, whatever is lost or repeated.
May import `event_log`, `validation`, `parsing`, `kafka`; never Sanic.
"""
