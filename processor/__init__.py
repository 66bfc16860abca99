"""Projects ``user-events`` into Postgres, exactly once in effect.

A record's way: the consumer's thread polls, decodes (:mod:`processor.decoding.decode_records`)
and decides which rows count (:mod:`processor.decoding.accept_rule`); the projector's
thread writes them in one transaction (:mod:`processor.projection.transaction`), the first
statement of which moves ``next_offset`` under the worker's epoch.
A worker that has been superseded changes no row by that statement and so loses
its batch; nothing else guards the tables, and nothing else is needed.
"""
