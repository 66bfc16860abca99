"""Decodes records to events or dead letters, and decides which count: the accept rule (pure).

Owns the accept rule and the rules of producer rows.
Promises that one bad record never stops a batch, and that each row counts once.
May import nothing of `processor`; does no I/O of its own.
"""
