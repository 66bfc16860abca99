"""Topics, the partition of a key, and what records of the log mean: jobs, reverts, moves.

Owns names and settings of topics, the partition of a key, and which records count.
Promises that every reader, in any language, interprets the log alike.
May import `rules` and `schemas.events`.
"""
