"""The tables: set-up, projection instances, generations; the switch after a delsert or rebuild.

Owns the instance registry, leaves and the cut-over.
Promises that readers see one whole generation, and that a switch is one transaction.
May import `kafka`, `runtime`.
"""
