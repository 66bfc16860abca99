"""HTTP basics for all routes: ASGI, parameters, bodies, paging, streaming, error answers.

Owns what every route shares.
Promises that a body is taken whole or not at all, and that no answer shows a stack trace.
May import nothing of `ingest_api` but `formats`, `kafka` and `postgres`.
"""
