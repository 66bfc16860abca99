"""The answer of a dry run: counts, and samples of users and lines as other answers show them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ingest_api.dry_runs.limits import NO_LIMITS
from ingest_api.dry_runs.statements import SAMPLES
from ingest_api.jobs.faults import line_faults
from ingest_api.jobs.file_columns import FileColumns
from ingest_api.openapi.response_types import FaultCount, LineFault
from ingest_api.openapi.user_answers import shown_fields
from ingest_api.parsing.file_format import delimiter_name
from schemas.rules.fields import (
    DUPLICATE_IN_FILE,
    KEY_EXISTS,
    OPT_OUT_KEPT,
    SUBSCRIPTIONS,
    UNKNOWN_KEY,
    UNKNOWN_USER_INCOMPLETE,
)
from schemas.rules.rejections import incomplete_user, key_conflict, key_field, unknown_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.dry_runs.comparison import ComparisonResult
    from ingest_api.dry_runs.copy_input import ComparedLines
    from ingest_api.dry_runs.limits import UploadLimits
    from schemas.events import JobAccepted

    Row = dict[str, Any]

_UNCLEAR_DATES: Final = (
    "Each date of the file could be month first or day first; they are read as {order}:"
    " say dateOrder if that is wrong."
)
NOTHING_CHANGED: Final = "Dry run: nothing was changed."
_REFUSED: Final = (
    KEY_EXISTS.code,
    DUPLICATE_IN_FILE.code,
    UNKNOWN_USER_INCOMPLETE.code,
    UNKNOWN_KEY.code,
)


class InsertSample(msgspec.Struct, frozen=True):
    """A line that would add a user, and that user."""

    line: int
    user: dict[str, Any]


class UpdateSample(msgspec.Struct, frozen=True):
    """A line that would change a user, and the fields that it would change.

    ``id`` is null where an earlier line of the file would add the user.
    """

    line: int
    id: str | None
    before: dict[str, Any]
    after: dict[str, Any]


class UnchangedSample(msgspec.Struct, frozen=True):
    """A line that says what is so already."""

    line: int
    id: str | None


class DeleteSample(msgspec.Struct, frozen=True):
    """A user that is not in the file of a delsert, or is in one of users to delete."""

    id: str
    user: dict[str, Any]


class RejectSample(msgspec.Struct, frozen=True, rename="camel"):
    """A line that would be refused, as the job's errors would show it."""

    error_message: str
    line: int
    column: str | None
    code: str
    value: str | None
    reason: str
    faults: list[LineFault]


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """At most ten of each kind, the first by line; of deleted users by id."""

    insert: list[InsertSample]
    update: list[UpdateSample]
    unchanged: list[UnchangedSample]
    delete: list[DeleteSample]
    reject: list[RejectSample]


class RefusedFor(msgspec.Struct, frozen=True):
    """A limit that the upload would be refused for."""

    code: str
    message: str


class DryRunAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an upload would do to the audience as it is now.

    ``pending_jobs`` were accepted before and are not finished yet: what they will
    do is not seen.
    ``noted_by`` counts cells that would not be taken as they stand, as a job's notes.
    ``refused_for`` are the default limits that the upload itself would be refused for.
    ``new_attributes`` would be defined.
    """

    dry_run: bool = True
    message: str = NOTHING_CHANGED
    mode: str
    delimiter: str
    charset: str
    total: int
    insert: int
    update: int
    unchanged: int
    delete: int
    reject: int
    pending_jobs: int
    refused_for: list[RefusedFor]
    samples: Samples
    rejected_by: list[FaultCount]
    notes: list[str]
    noted_by: list[FaultCount]
    new_attributes: list[str] = []


def rejected_lines(compared: ComparisonResult, lines: ComparedLines) -> int:
    """Return how many lines would be rejected, by themselves or because of the users there are."""
    return lines.rejected + sum(compared.lines.get(code, 0) for code in _REFUSED)


def answer_of(
    compared: ComparisonResult, lines: ComparedLines, limits: UploadLimits = NO_LIMITS
) -> DryRunAnswer:
    """Return the answer for the upload that these lines are of."""
    rejected = rejected_lines(compared, lines)
    refusals = limits.refusals(lines.accepted.lines, rejected, compared.removal)
    return DryRunAnswer(
        mode=lines.accepted.mode,
        delimiter=delimiter_name(lines.accepted.delimiter),
        charset=lines.accepted.charset,
        total=lines.accepted.lines,
        insert=compared.lines.get("insert", 0),
        update=compared.lines.get("update", 0),
        unchanged=compared.lines.get("unchanged", 0),
        delete=compared.removal.removed,
        reject=rejected,
        pending_jobs=compared.pending_jobs,
        refused_for=[RefusedFor(each.code, each.message) for each in refusals],
        samples=_samples(compared, lines),
        rejected_by=_fault_counts(compared, lines),
        notes=_notes(lines),
        noted_by=[
            *(
                FaultCount(code=OPT_OUT_KEPT.code, column=field.header, count=count)
                for field in SUBSCRIPTIONS
                if (count := compared.held_back.get(field.name, 0))
            ),
            *(FaultCount(**counted) for counted in compared.dropped),
        ],
    )


def _notes(lines: ComparedLines) -> list[str]:
    """Return what whoever sends the file had better look at."""
    order = lines.accepted.date_order
    is_unclear = lines.date_orders.are_unclear and order != "YMD"
    return [_UNCLEAR_DATES.format(order=order)] if is_unclear else []


def _fault_counts(compared: ComparisonResult, lines: ComparedLines) -> list[FaultCount]:
    """Return what lines would be rejected for, as the job's status would count it."""
    counts, columns = lines.faults.copy(), FileColumns(lines.accepted)
    key = columns.name(KEY_EXISTS.code, key_field(lines.accepted.reconciliation_key).header)
    for code in _REFUSED:
        if code != UNKNOWN_USER_INCOMPLETE.code:
            counts[code, key] += compared.lines.get(code, 0)
    for row in compared.lacking:
        code = UNKNOWN_USER_INCOMPLETE.code
        counts[code, columns.name(code, row["column"])] += row["count"]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or ""))
    return [
        FaultCount(code=code, column=column, count=count)
        for (code, column), count in ordered
        if count
    ]


def _samples(compared: ComparisonResult, lines: ComparedLines) -> Samples:
    samples = compared.samples
    refused = [
        *lines.rejections,
        *(
            _rejection(lines.accepted, code, row)
            for code in _REFUSED
            for row in samples.get(code, [])
        ),
    ]
    refused.sort(key=lambda rejection: rejection["record_number"])
    return Samples(
        insert=[InsertSample(row["line"], _values(row, "after_")) for row in samples["insert"]],
        update=[_update(row) for row in samples["update"]],
        unchanged=[UnchangedSample(row["line"], _id(row)) for row in samples["unchanged"]],
        delete=[DeleteSample(str(row["id"]), _values(row)) for row in compared.deleted],
        reject=[_reject(row) for row in FileColumns(lines.accepted).in_rows(refused[:SAMPLES])],
    )


def _update(row: Row) -> UpdateSample:
    """Return the fields that change; attributes below ``attributes``, as in a user."""
    before, after = _values(row, "before_"), _values(row, "after_")
    before["attributes"], after["attributes"] = _only_changed(
        before["attributes"] or {}, after["attributes"] or {}
    )
    changed = _only_changed(before, after)
    return UpdateSample(row["line"], _id(row), *changed)


def _only_changed(before: Row, after: Row) -> tuple[Row, Row]:
    """Return both without equal values; null stands for a missing one."""
    names = [name for name in before | after if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def _id(row: Row) -> str | None:
    return None if row["id"] is None else str(row["id"])


def _values(row: Mapping[str, Any], prefix: str = "") -> Row:
    """Return a user's values as the audience shows them."""
    return shown_fields(row, prefix) | {"attributes": row[f"{prefix}attributes"]}


def _rejection(accepted: JobAccepted, code: str, row: Row) -> Row:
    """Return the rejection that the projection would store for the line, by column."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in row["attributes"].items()
    }
    line = row | {"job_id": accepted.job_id, "attributes": texts}
    if code == UNKNOWN_USER_INCOMPLETE.code:
        rejection = incomplete_user(line)
    elif code == UNKNOWN_KEY.code:
        rejection = unknown_key(line, accepted.reconciliation_key)
    else:
        # The line is in the way of itself only where an earlier one has the same key.
        holder_job_id = accepted.job_id if code == DUPLICATE_IN_FILE.code else None
        holder = (holder_job_id, row["first_record"])
        rejection = key_conflict(line, accepted.reconciliation_key, holder)
    return {name: getattr(rejection, name) for name in rejection.__slots__}


def _reject(row: Row) -> RejectSample:
    return RejectSample(
        error_message=f"Line {row['record_number']},{row['raw']},{row['reason']}",
        line=row["line"],
        column=row["column"],
        code=row["code"],
        value=row["value"],
        reason=row["reason"],
        faults=line_faults(row),
    )
