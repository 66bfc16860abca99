"""Which tables there are: instances, generations, set-up.

Owns the instance registry, leaves and the cut-over.
Promises that readers see one whole generation, and that a switch is one transaction.
May import `kafka`, `runtime`.
"""
