"""The worker process: the live consumer group, and the outbox sent to Kafka.

Runs as `python -m processor`.

Owns the group's consumer and what leaves for Kafka.
Promises that it reads only what it has claimed, and that statuses leave in order, at least once.
May import every folder below it: `pipeline`, `projection`, `decoding`, `tables`, `kafka`,
`runtime`.
"""
