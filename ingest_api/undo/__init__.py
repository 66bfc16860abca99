"""Undo and redo of a job, with a preview of what they change.

Owns the routes under `…/batchinfo/undo` and `redo`.
Promises that a preview changes nothing, and that a refusal says what to do.
May import `projections`, `jobs`, `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
