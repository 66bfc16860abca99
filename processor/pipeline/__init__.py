"""Prepares batches, and the thread that applies them; narrows what Postgres refuses to its record.

Owns the feed that workers and replays share.
Promises the same batches to both.
May import `projection`, `decoding`, `tables`, `kafka`, `runtime`.
"""
