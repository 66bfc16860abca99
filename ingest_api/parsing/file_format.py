"""How a file is to be read: its format as the sender declared it, and the limits of its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from schemas.config.declared import Section, whole
from schemas.rules.attributes import attribute_field
from schemas.rules.fields import KEY_FIELD, RULES_VERSION
from schemas.rules.value_rules import ValueRules

if TYPE_CHECKING:
    from schemas.events import AttributeColumn, ColumnMapping, DateOrder, JobAccepted
    from schemas.rules.fields import Field

DELIMITERS: Final = {"COMMA": ",", "SEMI_COLON": ";", "PIPE": "|", "HYPHEN": "-", "TAB": "\t"}
"""The characters by their names in the HTTP contract."""
USUAL_DELIMITER: Final = DELIMITERS["COMMA"]
AUTO: Final = "auto"
"""In the place of a delimiter: the file's header decides."""
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_ANY: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """All that the parsing of a file depends on, beside its bytes.

    ``delimiter`` is the character, :data:`AUTO`, or None where nobody named one, so that
    the file's first line may; ``charset`` is what
    :func:`ingest_api.parsing.charsets.charset_named` returns, or None where only the file
    itself tells; ``compression`` is ``none`` or one of
    :data:`ingest_api.parsing.unpack.PACKINGS`.
    ``attributes`` are the custom attributes that a column may hold, the one that
    is the reconciliation key among them.
    ``columns`` says what columns hold, before their names do; ``unknown_columns``, refuse, ignore
    or attribute, what becomes of those that neither says anything of.
    ``labels`` are other names of attributes, by which columns may be called.
    ``invalid_optional``: reject lines with an invalid value of an optional column, or drop it.
    ``maps_usual_names``: columns called as other programs do hold what those mean.
    """

    delimiter: str | None = None
    charset: str | None = None
    compression: str = "none"
    reconciliation_key: str = "email"
    attributes: tuple[AttributeColumn, ...] = ()
    rules_version: int = RULES_VERSION
    phone_region: str | None = None
    date_order: DateOrder = "MDY"
    columns: tuple[ColumnMapping, ...] = ()
    unknown_columns: str = "refuse"
    invalid_optional: str = "reject"
    maps_usual_names: bool = False
    labels: tuple[ColumnMapping, ...] = ()

    @property
    def value_rules(self) -> ValueRules:
        """The rules by which its values are read."""
        return ValueRules(
            self.rules_version,
            self.phone_region,
            self.date_order,
            drops_invalid=self.invalid_optional == "drop",
        )

    @property
    def attribute_fields(self) -> tuple[Field, ...]:
        """The custom attributes, as columns of a file."""
        return tuple(attribute_field(column.name, column.type) for column in self.attributes)

    @property
    def key_field(self) -> Field:
        """The field that is the reconciliation key.

        Raises:
            KeyError: it is a custom attribute that isn't among ``attributes``.
        """
        fields = {field.json_name: field for field in self.attribute_fields}
        return (fields | KEY_FIELD)[self.reconciliation_key]


def delimiter_name(character: str) -> str:
    """Return the name that this delimiter has in the HTTP contract; one without is its own."""
    return next((name for name, known in DELIMITERS.items() if known == character), character)


class Limits(Section, frozen=True, kw_only=True):
    """How much of a file is taken; more is a fault of the file.

    ``max_record_bytes`` counts a record without its line feed, as UTF-8;
    ``max_header_bytes`` the same of the header.
    ``block_bytes`` is how much is checked at a time, and changes no result.
    The longest value that a rule takes has 1,024 characters; what is longer than a
    cell may be is nearly always a quote that was never closed, and is found sooner
    than at the end of a record.
    """

    max_record_bytes: Annotated[
        int, whole(1024, 64 * _MIB, "of one line of a file; over it: 400", unit="bytes")
    ] = _MIB
    max_cell_bytes: Annotated[
        int, whole(8 * _KIB, 64 * _MIB, "of one cell with its quotes; over it: 400", unit="bytes")
    ] = 64 * _KIB
    max_header_bytes: int = 64 * _KIB
    max_rows: Annotated[
        int, whole(0, 10**15, "data lines of a file, 0 for no limit; over it: 400")
    ] = 0
    max_columns: Annotated[int, whole(1, 100_000, "of a file; over it: 400")] = 10_000
    max_unpacked_bytes: Annotated[
        int, whole(1, 10**15, "of a gzip or zstd file, unpacked; over it: 400", unit="bytes")
    ] = 4096 * _MIB
    block_bytes: int = _MIB


UNLIMITED: Final = Limits(
    max_record_bytes=_ANY,
    max_cell_bytes=_ANY,
    max_header_bytes=_ANY,
    max_columns=_ANY,
    max_unpacked_bytes=_ANY,
)
"""For an accepted file: a limit that was lowered since must not stop its publication."""


def format_of(accepted: JobAccepted) -> FileFormat:
    """Return the format in which the file of this job was read when it was accepted."""
    return FileFormat(
        delimiter=accepted.delimiter,
        charset=accepted.charset,
        compression=accepted.compression,
        reconciliation_key=accepted.reconciliation_key,
        attributes=accepted.attributes,
        rules_version=accepted.rules_version,
        phone_region=accepted.phone_region,
        date_order=accepted.date_order,
        columns=accepted.columns,
        unknown_columns=accepted.unknown_columns,
        invalid_optional=accepted.invalid_optional,
    )
