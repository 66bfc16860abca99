"""Requests to rebuild or verify the tables, and the registry of projection instances.

Owns the routes under `…/projections` and the rows of the instance registry that are requests.
Promises that a request is made once however often it is sent.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
