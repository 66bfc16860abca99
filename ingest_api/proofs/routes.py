"""`GET …/batchinfo/proof/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from ingest_api.errors import ConflictError
from ingest_api.jobs.job_parameter import job_named
from ingest_api.openapi.described import described
from ingest_api.proofs.operations import JOB_PROOF

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.openapi.response_types import JobProof
    from ingest_api.proofs.proof import JobProofs


def add_proof_route(api: Blueprint, job_log: JobLog, proofs: JobProofs) -> None:
    """Add ``/batchinfo/proof/{id}``."""

    @api.get("/batchinfo/proof/<job_id:str>")
    @described(JOB_PROOF)
    async def job_proof(request: Request[Any, Any], job_id: str) -> JobProof:
        job = await job_named(request, job_log, job_id)
        if job.accepted.job_id in job_log.ledger.reverts.failed():
            raise ConflictError("The job failed: nothing of it counts, and nothing is to be proved")
        proof = await proofs.prove(job)
        # In the tables it is left out as an undone one is.
        is_cancelled = job.accepted.job_id in job_log.ledger.reverts.cancelled()
        return structs.replace(proof, state="CANCELLED") if is_cancelled else proof

    _ = job_proof
