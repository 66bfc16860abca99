"""Settings from the environment, JSON logging and metrics, for all processes.

Owns the declaration and reading of settings and the form of log lines.
Promises that all mistakes are reported together, and secrets masked.
May import every folder of `schemas` below it.
"""
