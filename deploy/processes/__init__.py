"""Child processes and their supervisor, which restarts a process that dies.

Owns the supervisor and the list of Rollcall's own services.
Promises that no child outlives its parent.
May import nothing of `deploy`.
"""
