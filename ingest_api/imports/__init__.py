"""`POST …/audience/import` and `…/inspect`: an upload becomes a job, once per `Idempotency-Key`.

Owns the routes, their description and the decision whether an upload is accepted.
Promises that 200 is answered only after `JobAccepted` has been acknowledged and read back, and
that nothing of a refused upload counts.
May import `dry_runs`, `inspections`, `presets`, `uploads`, `attributes`, `auth`, `openapi`,
`event_log`, `validation`, `parsing`, `web`, `kafka`, `postgres`.
"""
