"""The proof of one job: its events in the log held against its counts and its users.

Owns the route `…/batchinfo/proof` and the reading of a job's records.
Promises that each sum is computed from the log and from the tables, never copied from one to the
other.
May import `jobs`, `auth`, `openapi`, `event_log`, `web`, `kafka`, `postgres`.
"""
