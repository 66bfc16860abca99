"""Reading jobs: status of one and of all, server-sent events, rejected lines as JSON and CSV.

Owns the routes under `…/batchinfo/status` and `errors`.
Promises that a job is known from the instant of its 200, and that a status never goes back.
May import `auth`, `openapi`, `event_log`, `validation`, `parsing`, `web`, `kafka`, `postgres`.
"""
