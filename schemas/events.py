"""The event types as frozen values; their wire form is in ``avro/``.

Rows travel in batches (see :mod:`schemas.codec.columnar`), so :class:`UserRow` and
:class:`RowRejected` exist as values only for single events and for tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from datetime import date, datetime

JobMode = Literal["insert", "upsert", "delsert", "update", "ignore", "delete"]
RowMode = Literal["insert", "upsert", "delsert", "delete"]
DateOrder = Literal["MDY", "DMY", "YMD"]
JobState = Literal[
    "ACCEPTED",
    "PROCESSING",
    "COMPLETED",
    "COMPLETED_WITH_ERRORS",
    "REVERTING",
    "REVERTED",
    "CANCELLING",
    "CANCELLED",
    "FAILED",
]
AttributeType = Literal["string", "number", "boolean", "date"]
ErasedOutcome = Literal[
    "none", "inserted", "updated", "unchanged", "rejected", "refused", "deleted"
]
LogMoveStage = Literal["HELD", "RELEASED", "MOVED"]

JOB_MODES: tuple[JobMode, ...] = get_args(JobMode)
NO_JOB = 0
"""The ``previous_job_id`` of the first job of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """One user as a producer states it.

    ``present`` is the bit set of the fields set, in the order of
    :data:`schemas.rules.fields.FIELDS`.
    ``dropped_cells``: invalid cells of a job's line that were left out, as
    :func:`schemas.rules.rejections.faults_text` has them.
    """

    job_id: int | None = None
    record_number: int | None = None
    line: int | None = None
    sequence: int | None = None
    event_id: str | None = None
    mode: RowMode
    key: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile_number: str | None = None
    country: str | None = None
    state: str | None = None
    last_active_date: date | None = None
    sms_subscription: bool | None = None
    email_subscription: bool | None = None
    voice_subscription: bool | None = None
    attributes: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    present: int
    occurred_at: datetime
    source: str | None = None
    raw: str | None = None
    user_id: int | None = None
    dropped_cells: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRejected:
    """A line refused before it became a :class:`UserRow`.

    ``further_faults``: what else is wrong, as :func:`schemas.rules.rejections.faults_text` has it.
    """

    job_id: int
    record_number: int
    line: int
    sequence: int
    column: str | None
    code: str
    reason: str
    value: str | None
    raw: str
    further_faults: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowErased:
    """Stands where a record was whose personal data has been erased from the log.

    ``outcome`` is what became of a job's line: ``rejected`` by the projection, ``refused``
    before; ``none`` where it counted for nothing.
    ``opt_outs``: what the person has opted out of afterwards, bits as in ``UserRow.present``, by
    the SHA-256 of the key; its murmur2 says the partition.
    """

    job_id: int | None
    record_number: int | None
    line: int | None
    sequence: int | None
    outcome: ErasedOutcome
    key_hash: bytes | None = None
    key_number: int = 0
    opt_outs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOpened:
    """The first record of a pass in every partition.

    ``fills`` is the bit set of the fields that its rows only fill where the user has none, see
    :mod:`schemas.rules.overwrite`.
    ``keeps_opt_outs``: its rows never opt in who has opted out.
    """

    job_id: int
    previous_job_id: int
    mode: JobMode
    lines: int
    file_name: str | None
    sha256: str
    accepted_at: datetime
    accepted_by: str
    fills: int = 0
    keeps_opt_outs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSealed:
    """The last record of a pass in every partition; ``digest`` is a CRC-32.

    ``is_abandoned``: it ends a job that failed, whatever rows of it came before.
    """

    job_id: int
    rows: int
    digest: int
    is_abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRange:
    """The place of a file's chunks in ``uploads``: both offsets included."""

    partition: int
    first_offset: int
    last_offset: int
    count: int


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """A custom attribute that a file has a column for, as it was defined when it was taken."""

    name: str
    type: AttributeType


@dataclass(frozen=True, slots=True, order=True)
class ColumnMapping:
    """What a column of a file holds, as its sender has said: a field, or nothing where empty."""

    header: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAccepted:
    """An upload that was taken: all that a pass over its file depends on.

    ``row_frame`` and ``rejection_frame`` begin the values of its rows, and name their schemas (see
    :mod:`schemas.codec.framing`); None where whoever publishes it writes its own.
    """

    job_id: int
    attempt: str
    mode: JobMode
    delimiter: str
    charset: str
    compression: str
    blank_cells: str
    reconciliation_key: str
    rules_version: int
    accepted_at: datetime
    accepted_by: str
    file_name: str | None
    size_bytes: int
    sha256: str
    lines: int
    rejected_lines: int
    chunks: ChunkRange
    idempotency_key: str | None = None
    header: str | None = None
    attributes: tuple[AttributeColumn, ...] = ()
    phone_region: str | None = None
    date_order: DateOrder = "MDY"
    columns: tuple[ColumnMapping, ...] = ()
    unknown_columns: str = "refuse"
    fills: int = 0
    opt_ins: str = "apply"
    invalid_optional: str = "reject"
    row_frame: bytes | None = None
    rejection_frame: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVoided:
    """An attempt withdrawn because its acknowledgement did not come."""

    job_id: int
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReverted:
    """From here on the job counts as if it had never run (see :mod:`schemas.log.reverts`).

    The counts are the job's at that time: afterwards no row of it is left to count.
    """

    job_id: int
    attempt: str
    requested_at: datetime
    requested_by: str
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int = 0
    notes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRestored:
    """From here on a reverted job counts again."""

    job_id: int
    attempt: str
    requested_at: datetime
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled:
    """From here on a job that has not ended counts as if it had never run, for good."""

    job_id: int
    attempt: str
    requested_at: datetime
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """From here on a job that can't be published counts as if it had never run, for good.

    ``reason`` is a sentence for whoever uploaded the file, ``code`` the same for programs.
    """

    job_id: int
    attempt: str
    failed_at: datetime
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoQueued:
    """A ``JobReverted`` is to follow once the job has ended."""

    job_id: int
    attempt: str
    requested_at: datetime
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A full snapshot of a job; the higher ``version`` is the later, the last one's the highest.

    ``deleted``: how many users it removed from the audience; ``notes``: how many cells of its
    lines were not taken as they stood.
    """

    job_id: int
    version: int
    state: JobState
    mode: JobMode
    lines: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int = 0
    notes: int = 0
    file_name: str | None
    sha256: str
    accepted_at: datetime
    accepted_by: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeDefined:
    """A custom attribute; goes to every partition before any value of it."""

    name: str
    type: AttributeType
    is_reconciliation_key: bool
    is_indexed: bool
    defined_at: datetime
    defined_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChanged:
    """How a custom attribute is shown, and whether files may have a column of it.

    Of several with one name the last counts.
    """

    name: str
    label: str | None
    is_retired: bool
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetDefined:
    """Options of uploads under a name; without options the name is free again.

    Of several with one name the last counts.
    """

    name: str
    options: dict[str, list[str]] | None
    defined_at: datetime
    defined_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfigured:
    """What a log was made for; of several the first counts."""

    reconciliation_key: str
    configured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMove:
    """A stage of moving the log to topics of another version (see :mod:`schemas.log.moves`).

    ``partitions`` are those of ``user-events`` in that version.
    """

    stage: LogMoveStage
    version: int
    partitions: int
    command: str
    recorded_at: datetime


Event = (
    UserRow
    | RowRejected
    | RowErased
    | JobOpened
    | JobSealed
    | JobAccepted
    | JobVoided
    | JobReverted
    | JobRestored
    | JobCancelled
    | JobFailed
    | UndoQueued
    | JobStatus
    | AttributeDefined
    | AttributeChanged
    | PresetDefined
    | LogConfigured
    | LogMove
)
