"""Sample files of the demo with their expected counts, and example programs of producers.

`generate` made them, each line for a known outcome.

Owns the files, and the example programs of other producers.
Promises the counts in `expected.json`.
May import nothing of `deploy`.
"""
