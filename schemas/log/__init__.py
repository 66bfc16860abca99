"""What both sides read alike in the log: topics, keys, passes, reverts, moves.

Owns the names and settings of topics and the partition of a key.
Promises one reading for everybody, in any language.
May import `rules` and `schemas.events`.
"""
