"""How a file is to be read: what its sender said of it, and how much of it is taken."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.events import JobAccepted
    from schemas.settings import EnvironmentReader

DELIMITERS: Final = {"COMMA": ",", "SEMI_COLON": ";", "PIPE": "|", "HYPHEN": "-"}
"""The characters by their names in the HTTP contract."""
COMPRESSIONS: Final = ("none", "gzip")
_CHARSETS: Final = frozenset({
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii",
    "iso8859-1", "iso8859-2", "iso8859-15", "cp1250", "cp1251", "cp1252",
})  # fmt: skip
"""Python's names. Each character stands for itself, whatever came before it."""
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """All that the reading of a file depends on, beside its bytes.

    ``delimiter`` is the character, ``charset`` a name of :func:`charset_named`
    or None where only the file itself tells, ``compression`` one of
    :data:`COMPRESSIONS`.
    """

    delimiter: str = ","
    charset: str | None = None
    compression: str = "none"
    reconciliation_key: str = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a file is taken; more is a fault of the file.

    ``max_record_bytes`` counts a record without its line feed, as UTF-8.
    ``block_bytes`` is how much is checked at a time, and changes no result.
    """

    max_record_bytes: int = _MIB
    max_columns: int = 10_000
    max_unpacked_bytes: int = 4096 * _MIB
    block_bytes: int = _MIB


UNLIMITED: Final = Limits(max_record_bytes=1 << 62, max_columns=1 << 62, max_unpacked_bytes=1 << 62)
"""Of a file that was taken: a limit lowered since must not stop its passes."""


def read_limits(read: EnvironmentReader) -> Limits:
    """The limits that the environment sets.

    ===========================  ==========  ==============================================
    ROLLCALL_MAX_RECORD_BYTES    1048576     of one line of a file; over it: 400
    ROLLCALL_MAX_COLUMNS         10000       of a file; over it: 400
    ROLLCALL_MAX_UNPACKED_BYTES  4294967296  of a gzip file, unpacked; over it: 400
    ===========================  ==========  ==============================================
    """
    usual = Limits()
    return Limits(
        max_record_bytes=read.integer(
            "ROLLCALL_MAX_RECORD_BYTES", usual.max_record_bytes, least=1024, most=64 * _MIB
        ),
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
    )


def charset_named(name: str) -> str | None:
    """The charset that this name means, or None where it is unknown or not taken."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if found in _CHARSETS else None
