"""Presets: options of uploads under a name, kept in the log.

Owns the routes below `…/audience/presets`, and what a preset may hold.
Promises that a job holds the options themselves, so that a preset that is changed later changes
nothing of the past.
May import `uploads`, `auth`, `openapi`, `event_log`, `web`.
"""
