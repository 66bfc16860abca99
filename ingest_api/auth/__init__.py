"""Who calls, and what they may do: passwords, API tokens, JWTs, roles, login limits.

Owns the tables of accounts and tokens, their routes, and the filter that every request passes.
Promises equal work for unknown names, and that a change is in force within a minute on every
instance.
May import `openapi`, `web`, `postgres`.
"""
