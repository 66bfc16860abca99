"""The types of successful answers: what is sent, and the source of OpenAPI's schemas.

A client that knows the contract finds its names here; further ones may be added,
so a client must not mind names that it doesn't know.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events import JobMode, JobState

Id = Annotated[str, Meta(pattern="^[0-9]{1,19}$", description="A 63-bit number.")]
Date = Annotated[
    str,
    Meta(
        pattern=(
            r"^([0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [AP]M GMT"
            r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z)?)$"
        ),
        examples=["06/28/2016 05:49:23 AM GMT"],
    ),
]
Count = Annotated[int, Meta(ge=0)]
AttributeValue = str | int | float | bool | None


class _Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of all: names in camel case."""


class ImportAccepted(_Answer, frozen=True):
    """The upload is in the log, and every line of it will be applied; `notes` tell what was odd."""

    id: Annotated[Id, Meta(description="Of the job, to ask for its status and errors.")]
    message: str
    notes: list[str] | msgspec.UnsetType = msgspec.UNSET


class UndoFailure(_Answer, frozen=True):
    """A try to make the audience without a job, or with it again, that came to nothing."""

    reason: Annotated[str, Meta(description="With a code first, where there is one.")]
    failures: Annotated[int, Meta(ge=1, description="Tries that failed, one after another.")]
    date: Annotated[Date, Meta(description="Of the last of them.")]
    next_try_date: Annotated[
        Date | None, Meta(description="Of the next; null while it is being tried again.")
    ]


class LineFault(_Answer, frozen=True):
    """One thing that is wrong with a line."""

    column: Annotated[str | None, Meta(description="As the file's header calls it.")]
    code: str
    reason: str
    value: str | None


class FaultCount(_Answer, frozen=True):
    """How many lines were rejected for one thing; a line counts for each thing wrong with it."""

    code: str
    column: Annotated[
        str | None, Meta(description="Null where it is not known, or the whole line is meant.")
    ]
    count: Count


class JobStatus(_Answer, frozen=True):
    """How far a job has come."""

    data_type: Literal["AUDIENCE_MEMBERS"]
    status_message: str
    imported_date: Date
    imported_by: Annotated[str, Meta(description="The account that sent the upload.")]
    id: Id
    state: JobState
    mode: JobMode
    file_name: str | None
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="Of the file as sent.")]
    delimiter: Annotated[str, Meta(description="What stands between the cells of the file.")]
    charset: Annotated[str, Meta(description="In which the file was read.")]
    total: Annotated[Count, Meta(description="Lines of the file below its header.")]
    inserted: Count
    updated: Count
    unchanged: Count
    rejected: Count
    deleted: Annotated[
        Count,
        Meta(
            description="Users that it removed from the audience: of a `delsert` those who are not"
            " in its file, which is no line's outcome; of a `delete` those whose keys are."
        ),
    ]
    notes: Annotated[
        Count,
        Meta(
            description="Cells of its lines that were not taken as they stood: an opt-in of a"
            " person who has opted out, an invalid value that was left out."
        ),
    ]
    rows_per_second: Annotated[float, Meta(ge=0)] | None
    started_date: Date | None
    finished_date: Date | None
    estimated_finish_date: Date | None
    reverted_date: Annotated[
        Date | None, Meta(description="When its undo was asked for; null where none was.")
    ]
    reverted_by: Annotated[
        str | None, Meta(description="The account that asked for its undo; null where none did.")
    ]
    cancelled_date: Annotated[
        Date | None, Meta(description="When it was cancelled; null where it was not.")
    ]
    cancelled_by: Annotated[
        str | None, Meta(description="The account that cancelled it; null where none did.")
    ]
    undo_failure: Annotated[
        UndoFailure | None,
        Meta(
            description="Of a job that waits to be undone, or done again: why the last try failed."
        ),
    ]
    rejected_by: (
        Annotated[
            list[FaultCount],
            Meta(
                description="What lines were rejected for, the most frequent first; only where one"
                " job is asked for, once it has ended, and where some were."
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class JobStatuses(_Answer, frozen=True):
    """A page of jobs, the newest first."""

    total: Annotated[Count, Meta(description="How many there are in all.")]
    statuses: list[JobStatus]


class JobError(_Answer, frozen=True):
    """A line that was rejected."""

    id: Annotated[Count, Meta(description="Of this error; no two have the same.")]
    error_message: Annotated[
        str,
        Meta(
            description="`Line n,<the line as uploaded>,<the reason>`; "
            "n counts lines of data from 1."
        ),
    ]
    line: Annotated[int, Meta(ge=1, description="Physical line of the file; the header is 1.")]
    column: Annotated[str | None, Meta(description="As the file's header calls it.")]
    code: str
    value: str | None
    reason: str
    faults: Annotated[
        list[LineFault],
        Meta(description="All that is wrong with the line, what stands above first."),
    ]


class JobErrors(_Answer, frozen=True):
    """A page of a job's rejected lines, in the order of the file."""

    total: Annotated[Count, Meta(description="How many there are in all.")]
    errors: list[JobError] = msgspec.field(name="Errors")
    unlisted: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Of a job that is undone: lines that it had rejected because of users"
                " who were there then, and that are not known any more. With `total` they are what"
                " the status says; without such lines it is left out.",
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class JobNote(_Answer, frozen=True):
    """A cell that was not taken as it stood, though its line counts."""

    line: Annotated[int, Meta(ge=1, description="Physical line of the file; the header is 1.")]
    column: str
    code: str
    reason: str
    value: Annotated[
        str | None, Meta(description="Of an invalid cell that was left out: what it held.")
    ]


class JobNotes(_Answer, frozen=True):
    """A page of a job's notes, in the order of the file."""

    total: Annotated[Count, Meta(description="How many there are in all.")]
    notes: list[JobNote]


_Digest = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class ProofPartition(_Answer, frozen=True):
    """A job in one partition of the log."""

    partition: Count
    opened_offset: Annotated[Count, Meta(description="Of its JobOpened in user-events.")]
    sealed_offset: Annotated[Count, Meta(description="Of its JobSealed.")]
    events: Annotated[Count, Meta(description="Rows of the job that the log has there.")]
    digest: Annotated[_Digest, Meta(description="CRC-32 of them, as it was sealed.")]
    digest_found: Annotated[_Digest, Meta(description="The same, of what the log has.")]


class ProofFinding(_Answer, frozen=True):
    """A difference."""

    table: Annotated[str, Meta(description="`log`, or what the view is called.")]
    subject: Annotated[str, Meta(description="Which row, user, partition or offset.")]
    column: Annotated[str | None, Meta(description="Null where a whole row is concerned.")]
    expected: str
    found: str


class JobProof(_Answer, frozen=True):
    """The sums and hashes that show that nothing of a job was lost, doubled or changed by hand."""

    id: Id
    state: JobState
    is_proven: Annotated[bool, Meta(description="Nothing differs.")]
    lines: Annotated[Count, Meta(description="Of the file as it was taken.")]
    inserted: Count
    updated: Count
    unchanged: Count
    rejected: Count
    deleted: Annotated[
        Count,
        Meta(description="Users that the job removed; where each line deletes one, an outcome."),
    ]
    sum: Annotated[Count, Meta(description="Of the lines' outcomes: as many as lines.")]
    events_in_log: Annotated[Count, Meta(description="Its rows in user-events: as many as lines.")]
    partitions: list[ProofPartition]
    users_left: Annotated[Count, Meta(description="Users that the job was the last to set.")]
    users_hash: Annotated[_Hash, Meta(description="Of what it set of them, as they are.")]
    log_hash: Annotated[_Hash, Meta(description="Of the same, as the log has it.")]
    differences: Annotated[Count, Meta(description="How many there are.")]
    findings: Annotated[list[ProofFinding], Meta(description="The first of them.")]


class User(_Answer, frozen=True):
    """One member of the audience."""

    id: Id
    first_name: str | None
    last_name: str | None
    email: str | None
    mobile_number: Annotated[str | None, Meta(description="In E.164, such as +14155550123.")]
    country: str | None
    state: str | None
    active: bool
    sms_subscription: bool | None
    email_subscription: bool | None
    voice_subscription: bool | None
    last_active_date_str: Date | None
    created_date_str: Date
    last_modified_date_str: Date
    attributes: Annotated[
        dict[str, AttributeValue],
        Meta(description="Custom attributes, by the names that administrators gave them."),
    ]


class Users(_Answer, frozen=True):
    """A page of the audience, by id."""

    total: Annotated[Count, Meta(description="How many there are in all.")]
    audience: list[User]


class UserDifference(_Answer, frozen=True):
    """A user that is not the same at two points in time."""

    kind: Literal["added", "changed", "removed"]
    key: Annotated[str, Meta(description="What tells users apart, as it is compared.")]
    id: Annotated[Id, Meta(description="At the point after; of a removed one at that before.")]
    before: Annotated[
        dict[str, AttributeValue] | None,
        Meta(description="The fields that differ, as they were; null of an added user."),
    ]
    after: Annotated[
        dict[str, AttributeValue] | None,
        Meta(description="The same as they are then; null of a removed user."),
    ]


class AudienceDifference(_Answer, frozen=True):
    """What differs between two points in time, and a page of it by key."""

    from_: str = msgspec.field(name="from")
    to: str
    added: Count | None
    changed: Count | None
    removed: Count | None
    entries: list[UserDifference]


class ChangeShown(_Answer, frozen=True):
    """What a field was and what it became."""

    before: AttributeValue
    after: AttributeValue


class EntryShown(_Answer, frozen=True):
    """An event that made or changed the user."""

    event: Literal["created", "updated"]
    date: Date
    job_id: Annotated[Id | None, Meta(description="Null where no upload did it.")]
    file_name: str | None
    imported_by: Annotated[str | None, Meta(description="The account that sent the upload.")]
    line: Annotated[int | None, Meta(description="Physical line of the file; the header is 1.")]
    record_number: Annotated[int | None, Meta(description="Line of data of the file, from 1.")]
    partition: Annotated[Count, Meta(description="Of the topic user-events.")]
    offset: Annotated[Count, Meta(description="In that partition.")]
    source: Annotated[str | None, Meta(description="The producer; null for uploads.")]
    changes: Annotated[
        dict[str, ChangeShown],
        Meta(description="By the field's name; an attribute's is `attributes.<name>`."),
    ]
    opt_outs_kept: Annotated[
        list[str],
        Meta(
            description="Fields that it would have set to true, and that the person had opted out"
            " of."
        ),
    ]
    dropped: Annotated[
        list[LineFault], Meta(description="Cells of its line that were invalid, and left out.")
    ]


class HistoryShown(_Answer, frozen=True):
    """What made a user as it is, the oldest first."""

    id: Id
    total: Count
    history: list[EntryShown]


class PersonRejection(_Answer, frozen=True):
    """A rejected line that holds a person's key."""

    job_id: Id
    line: Annotated[int, Meta(ge=1, description="Physical line of the file; the header is 1.")]
    column: Annotated[str | None, Meta(description="As the file's header calls it.")]
    code: str
    reason: str
    raw: Annotated[str, Meta(description="The line as uploaded.")]


class Person(_Answer, frozen=True):
    """All that is stored of one person."""

    key: Annotated[str, Meta(description="What tells users apart, as it is compared.")]
    user: Annotated[User | None, Meta(description="As it is; null where there is none now.")]
    history: Annotated[list[EntryShown], Meta(description="What made the user so.")]
    rejected: Annotated[list[PersonRejection], Meta(description="Lines that hold the key.")]
    jobs: Annotated[list[JobStatus], Meta(description="The jobs of both.")]


class Live(_Answer, frozen=True):
    """The process answers."""

    status: Literal["live"]


class Component(_Answer, frozen=True):
    """One of the things that an upload needs."""

    name: Annotated[str, Meta(description="kafka, postgres, setup, jobs, or disk where watched.")]
    status: Literal["ready", "waiting"]
    reasons: list[str]


class Readiness(_Answer, frozen=True):
    """Whether an upload would be taken and processed."""

    status: Literal["ready", "waiting"]
    reasons: Annotated[list[str], Meta(description="What it waits for; empty where it is ready.")]
    components: list[Component]
