"""Custom attributes: defined once for all partitions, and listed.

Owns the routes under `…/attributes` and the order in which a definition reaches the partitions.
Promises that every partition knows one definition of a name.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
