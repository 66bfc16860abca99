"""`POST …/audience/import`: an upload becomes a job, once per `Idempotency-Key`, or is refused.

Owns the route, its description and the decision whether an upload is accepted.
Promises that 200 is answered only after `JobAccepted` has been acknowledged and read back, and
that nothing of a refused upload counts.
May import `dry_runs`, `uploads`, `attributes`, `auth`, `openapi`, `event_log`, `validation`,
`parsing`, `web`, `kafka`, `postgres`.
"""
