"""Settings and logging that all processes share.

Owns the reading of the environment and the form of log lines.
Promises that all mistakes are reported together, and secrets masked.
May import every folder of `schemas` below it.
"""
