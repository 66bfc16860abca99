"""Exports as CSV, NDJSON or Parquet: the audience, each line's result; one person's data as JSON.

Owns which columns an export has, how each format is made of rows, and the results of lines.
Promises that an exported CSV can be imported again and changes nothing, that memory doesn't
grow with the audience, and that an answer that fails breaks off.
May import `users`, `proofs`, `as_of`, `attributes`, `jobs`, `auth`, `openapi`, `event_log`,
`formats`, `web`, `kafka`, `postgres`.
"""
