"""Dead letters (list, show, retry), and the counts of what each other producer sent.

Owns the routes for dead letters and sources, and the reading of `user-events-dead`.
Promises that a dead letter is retried at most once, and that a retry never changes the value.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
