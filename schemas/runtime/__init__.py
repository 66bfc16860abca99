"""Threads and tasks whose failure ends the process, so that its supervisor restarts it.

Owns the threads and tasks that a process can't do without, and how signals end it.
Promises that none of them gives up silently: its unexpected end ends the process with exit
code 1 and one critical log line.
May import nothing of `schemas`.
"""
