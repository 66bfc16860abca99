"""Appending to `job-events` and `user-events`; the ledger of jobs; the fold of a user's events.

Owns the ledger (which attempt at a job counts) and the appending of jobs and of single users'
events.
Promises that an answer is given only when the log has decided.
May import `web`, `kafka`.
"""
