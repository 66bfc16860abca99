"""Sample files of the demo, and what importing them must come to.

`generate` made them; it knows what becomes of each line because it chose the line for it.

Owns the files, and the example programs of other producers.
Promises the counts in `expected.json`.
May import nothing of `deploy`.
"""
