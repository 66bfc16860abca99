"""The HTTP contract as a table of tests, written from its text.

They speak plain HTTP, as a client does that knows an older server and nothing of Rollcall.
"""
