"""One transaction: fence, rows, outcomes, jobs.

Owns every statement that writes the read model's rows.
Promises exactly once in effect: a superseded worker changes nothing.
May import `decoding`, `tables`, `kafka`, `runtime`.
"""
