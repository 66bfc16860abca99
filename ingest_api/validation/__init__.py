"""Validation of columns of text by the user rules: valid rows and rejections (pure).

Owns the rules of values for whole columns.
Promises the same result as the rules of `schemas.rules` give one value at a time.
May import `parsing`; does no I/O.
"""
