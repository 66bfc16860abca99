"""`./rollcall bench`: how fast imports are, beside what a person with psql would reach.

One run measures both on the same machine, alternating, so that its ratios mean something.
"""
