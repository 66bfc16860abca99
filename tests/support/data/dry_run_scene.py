"""A dry run and the projection of the same file, over one audience."""

from __future__ import annotations

import asyncio
import io
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ingest_api.dry_runs.answer import answer_of
from ingest_api.dry_runs.comparison import DryRunComparison, compare_keys
from ingest_api.dry_runs.copy_input import ComparedLines
from ingest_api.parsing.file_format import format_of
from ingest_api.postgres.pool import Database
from ingest_api.validation.key_hashes import MOST_HASHES, KeyHashes
from ingest_api.validation.validate import survey
from schemas.codec import codec
from schemas.events import JOB_MODES, AttributeColumn, AttributeDefined
from tests.support.data.passes import MemoryRecord, make_file_pass
from tests.support.data.projection_scene import Scene
from tests.support.models.file_oracle import accepted_job
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ingest_api.dry_runs.answer import DryRunAnswer
    from ingest_api.dry_runs.comparison import (
        ComparisonResult,
        Removal,
    )
    from schemas.events import AttributeType, JobAccepted, JobMode
    from tests.support.data.projection_scene import Worker
    from tests.support.servers.surroundings import Ground

_START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_HEADER = (
    "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date,SMS Subscription,"
    "Tier,Score,VIP,Since"
)
_ATTRIBUTES: dict[str, AttributeType] = {
    "Tier": "string",
    "Score": "number",
    "VIP": "boolean",
    "Since": "date",
}
_JSON_NAMES = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "mobile_number": "mobileNumber",
    "country": "country",
    "state": "state",
    "sms_subscription": "smsSubscription",
    "email_subscription": "emailSubscription",
    "voice_subscription": "voiceSubscription",
    "attributes": "attributes",
}
Lines = list[tuple[str, ...]]
Row = dict[str, Any]

_cells = st.tuples(
    st.sampled_from(["Ada", "Grace", "", 'Zoë "Z"']),
    st.sampled_from(["Lovelace", "O'Brien, jr."]),
    st.sampled_from(["u0@b.co", "U0@b.co", "u1@b.co", "u2@b.co", "u3@b.co", "u4@b.co", "oops"]),
    st.sampled_from(["", "+4930123456", "oops"]),
    st.sampled_from(["France", "USA", ""]),
    st.sampled_from(["", "Texas"]),
    st.sampled_from(["", "2024-02-29"]),
    st.sampled_from(["", "yes", "no", "oops"]),
    st.sampled_from(
        ["", "gold", 'a "b" \\'],
    ),
    st.sampled_from(["", "12", "0.50", "much"]),
    st.sampled_from(["", "true", "false"]),
    st.sampled_from(["", "01/31/2020"]),
)
some_lines = st.lists(_cells, min_size=1, max_size=14)
some_modes = st.sampled_from(JOB_MODES)


def csv_line(number: int, **cells: str) -> tuple[str, ...]:
    """A line of the user with this number, with some cells set otherwise."""
    usual = dict.fromkeys(_HEADER.split(","), "") | {
        "First Name": "Ada",
        "Last Name": "L",
        "Email": f"u{number}@b.co",
        "Country": "France",
        "Last Active Date": "2024-02-29",
    }
    return tuple((usual | {name.replace("_", " "): cell for name, cell in cells.items()}).values())


def _content(lines: Lines) -> bytes:
    cells = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    return "\n".join([_HEADER, *cells]).encode()


@dataclass(slots=True)
class Audience:
    """Users that files made, by the code that the services run."""

    env: Ground
    scene: Scene
    worker: Worker
    jobs: list[JobAccepted]

    @classmethod
    def empty(cls, env: Ground) -> Audience:
        """Without users, with custom attributes."""
        scene = Scene(env)
        for name, attribute_type in _ATTRIBUTES.items():
            defined = AttributeDefined(
                name=name,
                type=attribute_type,
                is_reconciliation_key=False,
                is_indexed=False,
                defined_at=_START,
                defined_by="admin",
            )
            for partition in range(PARTITIONS):
                scene.log.append(partition, [MemoryRecord(None, codec.encode(defined))])
        made = cls(env, scene, scene.worker(), [])
        made.project()
        return made

    def job(self, mode: JobMode, lines: Lines, **options: Any) -> JobAccepted:
        """The job that an upload of the lines would be next."""
        number = len(self.jobs)
        return accepted_job(
            job_id=1000 + number,
            mode=mode,
            **options,
            lines=len(lines),
            accepted_at=_START + timedelta(days=number),
            attributes=tuple(itertools.starmap(AttributeColumn, _ATTRIBUTES.items())),
        )

    def apply(self, job: JobAccepted, lines: Lines) -> None:
        """Publish the job's file and project it."""
        previous = self.jobs[-1].job_id if self.jobs else 0
        self.jobs.append(job)
        whole = make_file_pass(_content(lines), job, previous, PARTITIONS)
        for partition, records in enumerate(whole):
            self.scene.log.append(partition, records)
        self.project()

    def project(self) -> None:
        """Project all that is in the log."""
        self.worker.project(self.scene.log, [10_000] * PARTITIONS)

    def dry_run(self, job: JobAccepted, lines: Lines) -> DryRunAnswer:
        """What the job would do."""
        compared_lines = ComparedLines(job)

        async def compare(comparison: DryRunComparison) -> ComparisonResult:
            inputs = pieces_of(compared_lines.inputs(io.BytesIO(_content(lines))))
            keeps_opt_outs = job.opt_ins == "keep"
            return await comparison.compare(
                job.mode, inputs, (), fills=job.fills, keeps_opt_outs=keeps_opt_outs
            )

        return answer_of(asyncio.run(self._ask(compare)), compared_lines)

    def of_keys(self, job: JobAccepted, lines: Lines) -> tuple[Removal, int]:
        """What the job would remove, and how many lines it would reject, by the file's keys."""
        hashes = KeyHashes(job.mode)
        found = survey(io.BytesIO(_content(lines)), format_of(job), keys=hashes)

        async def read(comparison: DryRunComparison) -> Any:
            return await comparison.key_hashes(MOST_HASHES)

        compared = compare_keys(hashes, asyncio.run(self._ask(read)))
        return compared.removal, found.rejected[job.mode] + compared.rejected

    async def _ask(self, question: Any) -> Any:
        async with Database(self.env.conninfo).session(60) as connection:
            return await question(DryRunComparison(connection, 60))

    def users(self) -> dict[str, Row]:
        """The users by key."""
        return {row["key"]: row for row in select(self.env, "SELECT * FROM users")}

    def counts(self, job: JobAccepted) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged, rejected."""
        query = f"SELECT * FROM jobs WHERE job_id = {job.job_id}"
        (row,) = select(self.env, query)
        return row["inserted"], row["updated"], row["unchanged"], row["rejected"]

    def notes(self, job: JobAccepted) -> dict[tuple[str, str | None], int]:
        """The job's notes, by code and column."""
        query = f"SELECT count(*) AS notes FROM notes WHERE job_id = {job.job_id}"
        (row,) = select(self.env, f"SELECT notes FROM jobs WHERE job_id = {job.job_id}")
        assert select(self.env, query) == [row]
        query = (
            f'SELECT code, "column", count(*) FROM notes WHERE job_id = {job.job_id} GROUP BY 1, 2'
        )
        return {(row["code"], row["column"]): row["count"] for row in select(self.env, query)}

    def rejections(self, job: JobAccepted) -> list[Row]:
        """The job's errors, without their ids."""
        query = f"SELECT * FROM rejections WHERE job_id = {job.job_id} ORDER BY record_number"
        return [
            {
                "error_message": f"Line {row['record_number']},{row['raw']},{row['reason']}",
                **{name: row[name] for name in ("line", "column", "code", "value", "reason")},
                "faults": [
                    {name: row[name] for name in ("column", "code", "reason", "value")},
                    *(row["further_faults"] or ()),
                ],
            }
            for row in select(self.env, query)
        ]


async def pieces_of(pieces: Iterator[memoryview]) -> AsyncIterator[memoryview]:
    """The pieces, as a stream."""
    for piece in pieces:
        yield piece


def as_shown(user: Row) -> Row:
    """The user as a dry run shows it."""
    day = user["last_active_date"]
    return {shown: user[name] for name, shown in _JSON_NAMES.items()} | {
        "lastActiveDateStr": day and day.strftime("%m/%d/%Y 12:00:00 AM GMT")
    }
