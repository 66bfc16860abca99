"""Undo a job, redo it, and preview what either would change.

Owns the routes under `…/batchinfo/undo` and `redo`.
Promises that a preview changes nothing, and that a refusal says what to do.
May import `projections`, `jobs`, `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
