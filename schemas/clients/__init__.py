"""Clients of Kafka and the schema registry for both sides, COPY out of Postgres: the only I/O here.

Owns how consumers, producers and admin clients are made, the client of the schema registry,
and `COPY … TO STDOUT`.
Promises that nothing is committed for a group, and that no record ends a reader.
May import every folder of `schemas` below it.
"""
