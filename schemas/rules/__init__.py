"""What a valid user is: fields, rules of their values, codes of rejections, custom attributes.

Owns the one table of fields and rules, and `RULES_VERSION`.
Promises the same result on every side.
May import `schemas.events` only.
"""
