"""Prove one job that has ended: lines, outcomes, events in the log, and surviving users.

Everything of Postgres is read in one snapshot, and what is read of the log never
changes, so imports may go on meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest_api.errors import ConflictError, ReadTimeoutError, UnavailableError
from ingest_api.kafka.log_reader import LogRange
from ingest_api.kafka.reading_threads import ReadingThreads
from ingest_api.openapi.response_types import JobProof, ProofFinding, ProofPartition
from ingest_api.proofs.partition import JobPart, PartitionProof, ProofFindings
from ingest_api.proofs.surviving_users import SURVIVING_USER_TYPES, SurvivingUsers
from schemas.clients.errors import RecordsGoneError
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.job_states import COUNTS, ENDED_STATES, line_outcomes
from schemas.read_model.copy_csv import copied_columns
from schemas.rules.fields import OPT_OUT_KEPT, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.kafka.log_reader import LogReader
    from ingest_api.postgres.blocking_reader import BlockingReader
    from ingest_api.postgres.pool import Database
    from schemas.clients.event_schemas import EventSchemas
    from schemas.events import JobAccepted, JobState

_AT_ONCE: Final = 1
_MOST_WAITING: Final = 4
_TIMEOUT_S: Final = 300.0
_WRAP: Final = (1 << 64) - 1

_SELECT: Final = """
SELECT state, lines, inserted, updated, unchanged, rejected, deleted,
       (SELECT count(*) FROM public.rejections WHERE rejections.job_id = jobs.job_id)
           AS rejections,
       (SELECT generation FROM public.user_leaves LIMIT 1) AS generation
FROM public.jobs WHERE job_id = %s
"""
_SELECT_PARTS: Final = """
SELECT partition, opened_offset, sealed_offset, rows, digest
FROM public.job_partitions WHERE job_id = %s AND sealed_offset IS NOT NULL
ORDER BY partition
"""


class JobProofs:
    """Proves jobs for one API process: one at a time, a few wait."""

    def __init__(self, database: Database, log_reader: LogReader, schemas: EventSchemas) -> None:
        self._database = database
        self._schemas = schemas
        self._log_reader = log_reader
        self._threads = ReadingThreads(
            "proof",
            at_once=_AT_ONCE,
            most=_AT_ONCE + _MOST_WAITING,
            refusal="Too many proofs are being made, try again",
        )

    def close(self) -> None:
        """Accept no more requests, and end the proof under way."""
        self._log_reader.close()
        self._threads.close()

    async def prove(self, job: LedgerJob) -> JobProof:
        """Return the proof.

        Raises:
            ConflictError: the job has not ended, or the log no longer holds it.
            UnavailableError: too many are asked for, or it takes too long.
            StoreUnavailableError: Postgres doesn't answer.
        """
        try:
            return await self._threads.run(self._prove, job)
        except ReadTimeoutError:
            raise UnavailableError(
                f"The proof was not made within {_TIMEOUT_S:g} s: try again when Kafka and"
                " Postgres are less busy, or prove all tables with `rollcall verify`"
            ) from None
        except RegistryUnreachableError as error:
            raise UnavailableError(
                f"The schema registry does not answer, try again: {error}"
            ) from None
        except RecordsGoneError:
            raise ConflictError(
                "The log no longer holds the job's events, so nothing can be proved:"
                " its records have been taken out of user-events",
            ) from None

    def _prove(self, job: LedgerJob) -> JobProof:
        until_s = time.monotonic() + _TIMEOUT_S
        with self._database.blocking_reader(_TIMEOUT_S) as reads:
            state = _EndedJob.read(reads, job.accepted)
            findings = ProofFindings()
            proofs = [
                self._prove_partition(reads, state, part, findings, until_s) for part in state.parts
            ]
        return _answer(job, state, proofs, findings)

    _COPY_SURVIVING_USERS: Final = """
    COPY (SELECT COALESCE(modified_position, id) AS position, id, key, COALESCE(kept, 0) AS kept,
                 first_name, last_name, email, mobile_number, country, state, last_active_date,
                 sms_subscription, email_subscription, voice_subscription, attributes,
                 created_at, modified_at, record_number
          FROM public.user_leaf_rows
          LEFT JOIN (SELECT record_number, bit_or(bit) AS kept
                     FROM public.notes
                     JOIN unnest(%(columns)s::text[], %(bits)s::integer[])
                          AS subscription ("column", bit) USING ("column")
                     WHERE job_id = %(job_id)s AND code = %(code)s
                     GROUP BY record_number) AS noted
                USING (record_number)
          WHERE generation = %(generation)s AND partition = %(partition)s AND job_id = %(job_id)s
          ORDER BY position)
    TO STDOUT (FORMAT csv)
    """

    def _prove_partition(
        self,
        reads: BlockingReader,
        state: _EndedJob,
        part: JobPart,
        findings: ProofFindings,
        until_s: float,
    ) -> PartitionProof:
        parameters = {
            "generation": state.generation,
            "partition": part.partition,
            "job_id": state.accepted.job_id,
            "columns": [field.header for field in SUBSCRIPTIONS],
            "bits": [field.bit for field in SUBSCRIPTIONS],
            "code": OPT_OUT_KEPT.code,
        }
        survivors = SurvivingUsers(
            copied_columns(reads.copy(self._COPY_SURVIVING_USERS, parameters), SURVIVING_USER_TYPES)
        )
        proof = PartitionProof(state.accepted, part, survivors, findings)
        log_range = LogRange(part.partition, part.opened_offset, part.sealed_offset)
        timeout_s = max(0.0, until_s - time.monotonic())
        for messages in self._log_reader.batches(log_range, timeout_s=timeout_s):
            offsets = np.array([message.offset() for message in messages], np.int64)
            values = [message.value() or b"" for message in messages]
            self._schemas.learn(values)
            proof.take(offsets, values)
        proof.end()
        return proof


@dataclass(frozen=True, slots=True)
class _EndedJob:
    """A job that has ended, as the read model has it."""

    accepted: JobAccepted
    state: JobState
    lines: int
    counts: Mapping[str, int]
    rejections: int
    generation: int
    parts: list[JobPart]

    @classmethod
    def read(cls, reads: BlockingReader, accepted: JobAccepted) -> _EndedJob:
        """Read a job that the log has accepted.

        Raises:
            ConflictError: it has not ended.
        """
        rows = reads.select(_SELECT, (accepted.job_id,))
        if not rows or rows[0]["state"] not in ENDED_STATES:
            # An answer that proves nothing would be taken for a fault of the job.
            raise ConflictError(
                "The job has not ended, so there is nothing to prove yet: ask again once its"
                " state is COMPLETED or COMPLETED_WITH_ERRORS; a cancelled one ends in its turn",
            )
        row = rows[0]
        return cls(
            accepted=accepted,
            state=row["state"],
            lines=row["lines"],
            counts={name: row[name] for name in COUNTS},
            rejections=row["rejections"],
            generation=row["generation"],
            parts=[JobPart(**part) for part in reads.select(_SELECT_PARTS, (accepted.job_id,))],
        )


def _answer(
    job: LedgerJob, state: _EndedJob, proofs: list[PartitionProof], findings: ProofFindings
) -> JobProof:
    lines = job.accepted.lines
    events = sum(proof.events for proof in proofs)
    total = line_outcomes(job.accepted.mode, state.counts)
    users = sum(proof.users for proof in proofs)
    findings.compare("jobs", "the job", "lines", (lines, state.lines))
    findings.compare("log", "the job", "events", (lines, events))
    findings.compare("rejections", "the job", "count", (state.counts["rejected"], state.rejections))
    if state.state == "REVERTED":  # its rows have no outcomes and have left no users
        findings.compare("users", "the job", "count", (0, users))
    else:
        findings.compare("jobs", "the job", "sum of outcomes", (lines, total))
    users_hash, log_hash = (
        _hex(sum(getattr(proof, name) for proof in proofs)) for name in ("users_hash", "log_hash")
    )
    if findings.count == 0:
        findings.compare("users", "the job", "hash", (log_hash, users_hash))
    return JobProof(
        id=str(state.accepted.job_id),
        state=state.state,
        is_proven=findings.count == 0,
        lines=lines,
        **state.counts,
        sum=total,
        events_in_log=events,
        partitions=[_partition(proof) for proof in proofs],
        users_left=users,
        users_hash=users_hash,
        log_hash=log_hash,
        differences=findings.count,
        findings=[ProofFinding(**asdict(finding)) for finding in findings.shown],
    )


def _partition(proof: PartitionProof) -> ProofPartition:
    return ProofPartition(
        partition=proof.part.partition,
        opened_offset=proof.part.opened_offset,
        sealed_offset=proof.part.sealed_offset,
        events=proof.events,
        digest=f"{proof.part.digest:08x}",
        digest_found=f"{proof.digest:08x}",
    )


def _hex(number: int) -> str:
    return f"{number & _WRAP:016x}"
