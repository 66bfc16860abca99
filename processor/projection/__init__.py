"""A batch's transaction: fence against superseded workers, rows, outcomes, counts, outbox.

Owns every statement that writes the read model's rows.
Promises exactly once in effect: a superseded worker changes nothing.
May import `decoding`, `tables`, `kafka`, `runtime`.
"""
