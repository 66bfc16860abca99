"""Records to events or dead letters, and which of them count (pure).

Owns the accept rule and the rules of rows without a job.
Promises that one bad record never stops a batch, and that each row counts once.
May import nothing of `processor`; does no I/O of its own.
"""
