"""The read model's tables, and rows as COPY input and SQL expressions.

Owns the DDL and what a row sets.
Promises that constraints forbid impossible states.
May import `rules` and `schemas.events`.
"""
