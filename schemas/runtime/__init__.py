"""The process itself, on every side: what ends with it, and with what it ends.

Owns the threads and tasks that a process can't do without.
Promises that none of them gives up silently: its unexpected end ends the process with exit
code 1 and one critical line, and whoever supervises it starts it again.
May import nothing of `schemas`.
"""
