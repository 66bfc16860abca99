"""Other producers as operators see them: sources, dead letters and their retries.

Owns the routes for dead letters and sources, and the reading of `user-events-dead`.
Promises that a letter is retried at most once, and that a value is never changed by a retry.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
