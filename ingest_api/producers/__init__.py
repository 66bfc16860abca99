"""Other producers as operators see them: sources, dead letters and their retries.

Owns the routes for dead letters and sources, and the reading of `user-events-dead`.
Promises that a letter is retried at most once, that a value is never changed by a retry, and that
a retry sets nobody back to what was before a later change.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
