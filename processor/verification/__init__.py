"""Verifies the tables against the log: an independent fold, compared column by column.

The projection lets Postgres decide what becomes of a row; here numpy decides it
again, over 64-bit hashes of keys and values, a partition of the log at a time::

    log ─ decode, accept (as the projection) ─ fold ─┐
                                                     ├─ comparison ─ findings
    one repeatable-read snapshot of the tables ──────┘

The snapshot holds the rows and the offsets that belong to them, so live work
goes on meanwhile and cannot make a difference.
Of a user that differs only hashes are known here; what it should have been is
then read from the log once more, for those few users alone.
Two values that differ are taken for equal once in 2⁶⁴.

Owns the fold, the snapshot and their comparison.
Promises that it shares no SQL with the projection; memory grows with a partition's users alone.
May import every folder below it: `pipeline`, `projection`, `decoding`, `tables`, `kafka`,
`runtime`.
"""
