"""Clients of Kafka, Postgres and the schema registry that both sides use: the one room with I/O.

Owns how consumers, producers and admin clients are made, the reading of a topic outside of
groups, the one reader of `job-events`, who asks the schema registry, and what Postgres copies out.
Promises that nothing is committed for a group, and that no record ends a reader.
May import every folder of `schemas` below it.
"""
