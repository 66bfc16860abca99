"""Rollcall's command line program and the local stack: it composes the other packages.

Nothing imports this package.
"""
