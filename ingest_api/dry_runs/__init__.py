"""`dryRun` and `maxDeletePercent`: what an upload would add, change, delete and reject.

Owns the temporary tables and statements that compare a file with the audience.
Promises the outcome that the projection would give each line, and that nothing is kept.
May import `uploads`, `openapi`, `event_log`, `validation`, `jobs`, `parsing`, `web`, `kafka`,
`postgres`.
"""
