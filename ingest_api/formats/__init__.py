"""Rows as CSV, NDJSON and Parquet, a whole column at a time (pure).

Owns quoting, escaping, and the apostrophe before what a spreadsheet would run as a formula.
Promises that the text of a value depends on the value alone.
May import nothing of `ingest_api`.
"""
