"""The audit log: which account changed what, when, from where, and what came of it.

Owns the table of acts, its hash chain, and the routes below `…/admin/audit`.
Promises that an act is in the log before it is done, whoever kills what, and that an entry that
is changed or taken out later is found.
May import `auth`, `openapi`, `web`, `postgres`, `errors`.
"""
