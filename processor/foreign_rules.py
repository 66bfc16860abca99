"""What a row without a job must be to count, and what becomes of one that is not.

Our own passes are guarded by their digest and were checked before; what other
producers send is checked here, a row at a time.  A write of the API is told why
it was refused; everybody else's record becomes a dead letter.  Pure.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from processor.dead_letter_details import shown
from schemas.attributes import NAME_PATTERN, TAKEN_NAMES, is_canonical, plain_name
from schemas.read_model import API_SOURCE
from schemas.topics import partition_of
from schemas.user_rules import ATTRIBUTE_INVALID, ATTRIBUTE_UNKNOWN, MAX_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.attributes import Attribute
    from schemas.events import AttributeDefined, AttributeType, UserRow

_EVENT_ID: Final = r"[!-~]{1,200}"
"""Of a reported write: ids travel in a NOTIFY, separated by spaces."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row does not count: a code for programs, a reason for people, the field if one."""

    code: str
    reason: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedWrite:
    """A write of the API that does not count."""

    offset: int
    event_id: str
    refusal: Refusal


def reported_id(row: UserRow) -> str | None:
    """The event id by which the outcome of a row is reported; None where nobody waits for it."""
    is_reported = row.source == API_SOURCE and row.event_id is not None
    return row.event_id if is_reported and _is_plain(row.event_id or "") else None


def refused_definition(event: AttributeDefined) -> Refusal | None:
    """Why no attribute can be defined so, or None."""
    is_free = re.fullmatch(NAME_PATTERN, event.name) and plain_name(event.name) not in TAKEN_NAMES
    if is_free and "\0" not in event.defined_by:
        return None
    reason = f"{shown(event.name)} is no attribute's name, or a field's"
    return Refusal("ATTRIBUTE_NAME_INVALID", reason)


class ForeignRules:
    """The rules of one batch of a partition.

    ``known`` are the attributes that were defined before the batch, ``definitions``
    those in it, by their position there, in order.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        known: Mapping[str, Attribute],
        definitions: Iterable[tuple[int, AttributeDefined]],
    ) -> None:
        self._partition = partition
        self._partitions = partitions
        self._attributes: dict[str, tuple[int, AttributeType]] = {
            name: (-1, attribute.type) for name, attribute in known.items()
        }
        for at, event in definitions:
            self._attributes.setdefault(event.name, (at, event.type))

    def refusal(self, row: UserRow, record_key: bytes | None, at: int) -> Refusal | None:
        """Why the row at this position of the batch does not count, or None."""
        return self._refused_row(row, record_key) or self._refused_value(row, at)

    def _refused_row(self, row: UserRow, record_key: bytes | None) -> Refusal | None:
        key = row.key.encode()
        checks = (
            (record_key is None, "NULL_KEY"),
            (record_key != key, "KEY_MISMATCH"),
            (not key, "KEY_MISSING"),
            (len(key) > MAX_KEY_BYTES, "KEY_TOO_LONG"),
            (partition_of(key, self._partitions) != self._partition, "MISROUTED"),
            (row.mode == "delsert", "MODE_NOT_ALLOWED"),
            (row.mode == "insert" and row.user_id is not None, "MODE_NOT_ALLOWED"),
            (_nul_field(row) is not None, "NUL_CHARACTER"),
            (row.source == API_SOURCE and not _is_plain(row.event_id or ""), "EVENT_ID_INVALID"),
        )
        code = next((code for is_bad, code in checks if is_bad), None)
        return None if code is None else Refusal(code, self._reason(code, row, record_key))

    def _reason(self, code: str, row: UserRow, record_key: bytes | None) -> str:
        """What is wrong with the row, the values that decided it, and what it should be."""
        key = row.key.encode()
        reasons = {
            "NULL_KEY": f"the record has no key, and must have the row's, {shown(key)}",
            "KEY_MISMATCH": f"the record's key is {shown(record_key)} and the row's {shown(key)}:"
            " both are the user's normalised reconciliation key",
            "KEY_MISSING": "the key is empty: it is the user's normalised reconciliation key",
            "KEY_TOO_LONG": f"the key has {len(key)} bytes, and may have {MAX_KEY_BYTES}",
            "MISROUTED": f"the record is in partition {self._partition}, and its key belongs to"
            f" partition {partition_of(key, self._partitions)} of {self._partitions}",
            "MODE_NOT_ALLOWED": f"an insert makes a user, and this one means user {row.user_id}:"
            " leave user_id out, or send an upsert"
            if row.mode == "insert"
            else "delsert belongs to jobs: upload a file, or send insert, upsert or delete",
            "NUL_CHARACTER": f"{_nul_field(row)} holds a NUL character, which no text may",
            "EVENT_ID_INVALID": f"the event_id {shown(row.event_id)} of a write of the API is not"
            f" 1 to 200 ASCII characters without spaces; {API_SOURCE} is the API's own source",
        }
        return reasons[code]

    def _refused_value(self, row: UserRow, at: int) -> Refusal | None:
        for name, text in row.attributes.items():
            defined_at, attribute_type = self._attributes.get(name, (at, None))
            if attribute_type is None or defined_at >= at:
                reason = ATTRIBUTE_UNKNOWN.reason.format(column=name)
                return Refusal(ATTRIBUTE_UNKNOWN.code, reason, name)
            if text is not None and not is_canonical(attribute_type, text):
                reason = ATTRIBUTE_INVALID.reason.format(column=name, type=attribute_type)
                return Refusal(ATTRIBUTE_INVALID.code, reason, name)
        return None


def _is_plain(event_id: str) -> bool:
    return re.fullmatch(_EVENT_ID, event_id) is not None


def _nul_field(row: UserRow) -> str | None:
    """The name of a field that holds a NUL character."""
    texts = {name: value for name, value in asdict(row).items() if isinstance(value, str)}
    texts["attributes"] = "".join([text or "" for pair in row.attributes.items() for text in pair])
    return next((name for name, text in texts.items() if "\0" in text), None)
