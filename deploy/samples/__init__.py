"""Sample files of the demo, and what importing them must come to.

`generate` made them; it knows what becomes of each line because it chose the line for it.
"""
