"""The process itself: stop signals, exit codes, child processes, Python's garbage collector.

Owns how a process of the processor starts, ends, and shares work with another.
Promises that no helper outlives the one that needs it.
May import nothing of `processor`.
"""
