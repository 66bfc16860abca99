"""A typed client of the HTTP API, for programs in Python.

Synchronous::

    from rollcall.client import Client, Token

    with Client("https://rollcall.example.org", Token("…")) as rollcall:
        job = rollcall.import_file("users.csv", mode="upsert")
        for error in rollcall.errors(job.id):
            print(error.line, error.code, error.column)

and with asyncio :class:`AsyncClient`, whose methods are the same with ``await`` and ``async for``.

A request that gets no answer, or one that says try again, is sent again for two minutes; an import
and an undo have an ``Idempotency-Key``, so what is sent again is done once.
Answers are the types of the OpenAPI document; times are texts as RFC 3339.
"""

from deploy.api_client.client import Account, ApiError, RefusedError, Token, UnreachableError
from ingest_api.openapi.response_types import JobError, JobNote, JobProof, JobStatus, User
from rollcall.client.asynchronous import AsyncClient
from rollcall.client.synchronous import Client, DryRun, Options

__all__ = [
    "Account",
    "ApiError",
    "AsyncClient",
    "Client",
    "DryRun",
    "JobError",
    "JobNote",
    "JobProof",
    "JobStatus",
    "Options",
    "RefusedError",
    "Token",
    "UnreachableError",
    "User",
]
