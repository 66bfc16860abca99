"""HTTP without domain: ASGI, parameters, bodies, paging, streaming, refusals.

Owns what every route shares.
Promises that a body is taken whole or not at all, and that no answer shows a trace.
May import nothing of `ingest_api` but `kafka` and `postgres`.
"""
