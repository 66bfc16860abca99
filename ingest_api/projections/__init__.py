"""Projection instances as the API asks for them: rebuilds, verifications, points in time.

Owns the routes under `…/projections` and the rows of the instance registry that are requests.
Promises that a request is made once however often it is sent.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
