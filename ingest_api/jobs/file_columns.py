"""Names the columns of rejected lines as the job's file calls them.

What the projection finds, it finds in rows: it knows fields, and no heading of a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import plain_name
from schemas.rules.fields import (
    DUPLICATE_IN_FILE,
    FIELDS,
    KEY_EXISTS,
    UNKNOWN_KEY,
    UNKNOWN_USER_INCOMPLETE,
)
from schemas.rules.modes import MODES
from schemas.rules.rejections import key_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingest_api.web.dates import Row
    from schemas.events import JobAccepted

_ABOUT_KEYS: Final = (KEY_EXISTS.code, DUPLICATE_IN_FILE.code, UNKNOWN_KEY.code)


class FileColumns:
    """The headings of one job's file that are not the names of their fields."""

    def __init__(self, accepted: JobAccepted) -> None:
        headings = {plain_name(each.field): each.header for each in accepted.columns}
        named = (
            (field, headings.get(plain_name(field.header)) or headings.get(field.json_name.lower()))
            for field in (*FIELDS, key_field(accepted.reconciliation_key))
        )
        self._headings = {field.header: heading for field, heading in named if heading}
        # Where every line must be complete, validation has found it, and named the file's column.
        self._codes = {*_ABOUT_KEYS}
        if MODES[accepted.mode].may_lack_fields:
            self._codes.add(UNKNOWN_USER_INCOMPLETE.code)

    def name(self, code: str, column: str | None) -> str | None:
        """Return what the file calls this column of a rejection."""
        return self._headings.get(column, column) if column and code in self._codes else column

    def in_rows(self, rows: Iterable[Row]) -> list[Row]:
        """Return these rejections with the file's names, and in their reasons the fields', too."""
        return [self._in_row(row) for row in rows]

    def _in_row(self, row: Row) -> Row:
        column, name = row["column"], self.name(row["code"], row["column"])
        if name == column:
            return row
        reason = row["reason"].replace(column, f"{name} ({column})", 1)
        return row | {"column": name, "reason": reason}
