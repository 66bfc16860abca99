"""Custom attributes of users: define one, list them all, change how one is shown or retire it.

Owns the routes under `…/attributes` and the order in which a definition reaches the partitions.
Promises that every partition knows one definition of a name.
May import `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
