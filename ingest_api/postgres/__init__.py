"""Postgres on the API's side: connection pool, read snapshots, streams of rows, notifications.

Owns the pool, repeatable-read snapshots, streams of their rows, and notifications.
Promises that a query ends soon after the client that asked for it has gone.
May import nothing of `ingest_api`.
"""
