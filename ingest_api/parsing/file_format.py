"""How a file is to be read: what its sender said of it, and how much of it is taken."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import attribute_field
from schemas.rules.fields import KEY_FIELD, RULES_VERSION

if TYPE_CHECKING:
    from schemas.config.settings import EnvironmentReader
    from schemas.events import AttributeColumn, JobAccepted
    from schemas.rules.fields import Field

DELIMITERS: Final = {"COMMA": ",", "SEMI_COLON": ";", "PIPE": "|", "HYPHEN": "-"}
"""The characters by their names in the HTTP contract."""
COMPRESSIONS: Final = ("none", "gzip")
_CHARSETS: Final = frozenset({
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii",
    "iso8859-1", "iso8859-2", "iso8859-15", "cp1250", "cp1251", "cp1252",
})  # fmt: skip
"""Python's names. Each character stands for itself, whatever came before it."""
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_ANY: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """All that the reading of a file depends on, beside its bytes.

    ``delimiter`` is the character, ``charset`` a name of :func:`charset_named`
    or None where only the file itself tells, ``compression`` one of
    :data:`COMPRESSIONS`.
    ``attributes`` are the custom attributes that a column may hold, the one that
    is the reconciliation key among them.
    """

    delimiter: str = ","
    charset: str | None = None
    compression: str = "none"
    reconciliation_key: str = "email"
    attributes: tuple[AttributeColumn, ...] = ()
    rules_version: int = RULES_VERSION

    @property
    def attribute_fields(self) -> tuple[Field, ...]:
        """The custom attributes, as columns of a file."""
        return tuple(attribute_field(column.name, column.type) for column in self.attributes)

    @property
    def key_field(self) -> Field:
        """The field that tells users apart.

        Raises:
            KeyError: it is a custom attribute that isn't among ``attributes``.
        """
        fields = {field.json_name: field for field in self.attribute_fields}
        return (fields | KEY_FIELD)[self.reconciliation_key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a file is taken; more is a fault of the file.

    ``max_record_bytes`` counts a record without its line feed, as UTF-8;
    ``max_header_bytes`` the same of the header, ``max_cell_bytes`` a cell with its quotes.
    ``max_rows`` counts data records, 0 for any number.
    ``block_bytes`` is how much is checked at a time, and changes no result.
    """

    max_record_bytes: int = _MIB
    max_cell_bytes: int = 64 * _KIB
    max_header_bytes: int = 64 * _KIB
    max_rows: int = 0
    max_columns: int = 10_000
    max_unpacked_bytes: int = 4096 * _MIB
    block_bytes: int = _MIB


UNLIMITED: Final = Limits(
    max_record_bytes=_ANY,
    max_cell_bytes=_ANY,
    max_header_bytes=_ANY,
    max_columns=_ANY,
    max_unpacked_bytes=_ANY,
)
"""Of a file that was taken: a limit lowered since must not stop its passes."""


def read_limits(read: EnvironmentReader) -> Limits:
    """The limits that the environment sets.

    ===========================  ==========  ==============================================
    ROLLCALL_MAX_RECORD_BYTES    1048576     of one line of a file; over it: 400
    ROLLCALL_MAX_CELL_BYTES      65536       of one cell with its quotes; over it: 400
    ROLLCALL_MAX_COLUMNS         10000       of a file; over it: 400
    ROLLCALL_MAX_ROWS            0           data lines of a file, 0 for no limit; over it: 400
    ROLLCALL_MAX_UNPACKED_BYTES  4294967296  of a gzip file, unpacked; over it: 400
    ===========================  ==========  ==============================================

    The longest value that a rule takes has 1,024 characters; what is longer than a
    cell may be is nearly always a quote that was never closed, and is found sooner
    than at the end of a record.
    """
    usual = Limits()
    return Limits(
        max_record_bytes=read.integer(
            "ROLLCALL_MAX_RECORD_BYTES", usual.max_record_bytes, least=1024, most=64 * _MIB
        ),
        max_cell_bytes=read.integer(
            "ROLLCALL_MAX_CELL_BYTES", usual.max_cell_bytes, least=8 * _KIB, most=64 * _MIB
        ),
        max_rows=read.integer("ROLLCALL_MAX_ROWS", usual.max_rows, least=0, most=10**15),
        max_columns=read.integer("ROLLCALL_MAX_COLUMNS", usual.max_columns, least=1, most=100_000),
        max_unpacked_bytes=read.integer(
            "ROLLCALL_MAX_UNPACKED_BYTES", usual.max_unpacked_bytes, least=1, most=10**15
        ),
    )


def format_of(accepted: JobAccepted) -> FileFormat:
    """How the file of this job was read when it was taken."""
    return FileFormat(
        delimiter=accepted.delimiter,
        charset=accepted.charset,
        compression=accepted.compression,
        reconciliation_key=accepted.reconciliation_key,
        attributes=accepted.attributes,
        rules_version=accepted.rules_version,
    )


def charset_named(name: str) -> str | None:
    """The charset that this name means, or None where it is unknown or not taken."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if found in _CHARSETS else None
