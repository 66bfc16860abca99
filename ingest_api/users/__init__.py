"""Users: list, filter, read, add, change and delete them, and the history of one.

Owns the routes under `…/audience` and the statements behind them.
Promises that a write is answered when readers see it, and that a page and its total are one
snapshot.
May import `as_of`, `jobs`, `attributes`, `auth`, `openapi`, `event_log`, `validation`, `parsing`,
`web`, `kafka`, `postgres`.
"""
