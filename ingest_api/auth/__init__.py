"""Authenticator and roles: accounts with passwords, API tokens, JWTs, limits of failed logins.

Owns the tables of accounts and tokens, their routes, and the filter that every request passes.
Promises equal work for unknown names, and that a change is in force within a minute on every
instance.
May import `openapi`, `web`, `postgres`.
"""
