"""What an upload asks for, wherever the contract lets it say so.

An option may stand in the header (only ``DELIMITER``), in the query or in a form
field; the first of these places where it stands decides.
A field may come after the file, so what is not yet said is not yet known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from ingest_api.file_format import DELIMITERS
from ingest_api.responses import Detail, invalid_file
from schemas.events import JOB_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.accounts import Role
    from ingest_api.responses import Refused
    from schemas.events import JobMode

_BLANK_CELLS: Final = ("keep", "clear")
_DEFAULTS: Final = {"DELIMITER": "COMMA", "importType": "insert", "blankCells": "keep"}
_ALLOWED: Final[dict[str, Sequence[str]]] = {
    "DELIMITER": tuple(DELIMITERS),
    "importType": JOB_MODES,
    "blankCells": _BLANK_CELLS,
}
_NOT_YET: Final[dict[str, Sequence[str]]] = {"dryRun": ("false",), "maxDeletePercent": ("100",)}
"""Options that would make a request change less, with the values that ask for nothing."""
_MOST_KEY_CHARACTERS: Final = 255
ROLE_NEEDED: Final[dict[JobMode, Role]] = {
    "insert": "importer",
    "upsert": "importer",
    "delsert": "admin",
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What is said so far; None where nothing is."""

    delimiter_name: str | None = None
    mode_name: str | None = None
    blank_cells_name: str | None = None

    @property
    def delimiter(self) -> str:
        """The character between cells."""
        return DELIMITERS[self.delimiter_name or _DEFAULTS["DELIMITER"]]

    @property
    def mode(self) -> JobMode:
        """What is done with the rows."""
        return cast("JobMode", self.mode_name or _DEFAULTS["importType"])

    @property
    def blank_cells(self) -> str:
        """Whether an upsert's blank cell keeps or clears what was there."""
        return self.blank_cells_name or _DEFAULTS["blankCells"]


def options_in_head(headers: Sequence[str], query: Mapping[str, Sequence[str]]) -> ImportOptions:
    """What the head of the request says; ``headers`` are the values of its ``DELIMITER``.

    Raises:
        Refused: 400, where an option is repeated or has an unknown value.
    """
    _check_not_yet(query)
    in_query = _options(query)
    in_header = _value("DELIMITER", headers)
    return replace(in_query, delimiter_name=in_header or in_query.delimiter_name)


def with_fields(options: ImportOptions, fields: Mapping[str, Sequence[str]]) -> ImportOptions:
    """The options of the head, and of the form's fields where the head says nothing.

    Raises:
        Refused: 400, where an option is repeated or has an unknown value.
    """
    _check_not_yet(fields)
    in_form = _options(fields)
    return ImportOptions(
        delimiter_name=options.delimiter_name or in_form.delimiter_name,
        mode_name=options.mode_name or in_form.mode_name,
        blank_cells_name=options.blank_cells_name or in_form.blank_cells_name,
    )


def idempotency_key(values: Sequence[str]) -> str | None:
    """The request's ``Idempotency-Key``, or None where it has none.

    Raises:
        Refused: 400, where it is repeated or no key.
    """
    if not values:
        return None
    key = values[0].strip()
    if len(values) > 1 or not 1 <= len(key) <= _MOST_KEY_CHARACTERS or not key.isprintable():
        raise _refused("Idempotency-Key", "It is one printable text of 1 to 255 characters.")
    return key


def _options(values: Mapping[str, Sequence[str]]) -> ImportOptions:
    return ImportOptions(
        delimiter_name=_value("DELIMITER", values.get("DELIMITER", ())),
        mode_name=_value("importType", values.get("importType", ())),
        blank_cells_name=_value("blankCells", values.get("blankCells", ())),
    )


def _value(name: str, values: Sequence[str]) -> str | None:
    if not values:
        return None
    if len(values) > 1:
        raise _refused(name, f"{name} is given {len(values)} times.")
    value = values[0].strip()
    if value not in _ALLOWED[name]:
        raise _refused(name, f"{name} is one of {', '.join(_ALLOWED[name])}.")
    return value


def _check_not_yet(values: Mapping[str, Sequence[str]]) -> None:
    for name, harmless in _NOT_YET.items():
        if any(value not in harmless for value in values.get(name, ())):
            raise _refused(name, f"{name} is not supported yet.")


def _refused(name: str, message: str) -> Refused:
    return invalid_file(Detail("INVALID_PARAMETER", message, column=name))
