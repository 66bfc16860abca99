"""What a valid user is: fields, rules, codes.

Owns the one table of fields and rules, and `RULES_VERSION`.
Promises the same verdict on every side.
May import `schemas.events` only.
"""
