"""The audience at an earlier point, and the difference of two points.

Owns the as-of parameters, the wait for a past audience, and the diff and its route.
Promises one snapshot for both sides of a diff.
May import `projections`, `jobs`, `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
