"""Clients of Kafka, Postgres and the schema registry for both sides: the only I/O of `schemas`.

Owns how consumers, producers and admin clients are made, the client of the schema registry,
and `COPY … TO STDOUT`.
Promises that nothing is committed for a group, and that no record ends a reader.
May import every folder of `schemas` below it.
"""
