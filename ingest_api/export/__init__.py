"""The audience as CSV, NDJSON or Parquet, streamed from one snapshot; one person's data as JSON.

Owns which columns an export has, and how each format is made of rows.
Promises that an exported CSV can be imported again and changes nothing, that memory doesn't
grow with the audience, and that an answer that fails breaks off.
May import `users`, `as_of`, `attributes`, `jobs`, `auth`, `openapi`, `event_log`,
`formats`, `web`, `postgres`.
"""
