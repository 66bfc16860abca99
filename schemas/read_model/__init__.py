"""The DDL of the read model's tables; rows as COPY input, upserts as SQL expressions.

Owns the tables, and which columns a row sets.
Promises that constraints forbid impossible states.
May import `rules` and `schemas.events`.
"""
