"""Time travel: the audience `asOf` an earlier time or job, and the diff of two such points.

Owns the as-of parameters, the wait for a past audience, and the diff and its route.
Promises one snapshot for both sides of a diff.
May import `projections`, `jobs`, `auth`, `openapi`, `event_log`, `formats`, `web`, `kafka`,
`postgres`.
"""
