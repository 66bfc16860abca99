"""The process itself: child processes, Python's garbage collector.

Owns how a process of the processor shares work with another.
Promises that no helper outlives the one that needs it.
May import nothing of `processor`.
"""
