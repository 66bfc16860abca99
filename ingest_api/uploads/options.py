"""The options of an upload, parsed from header, query and form.

An option may stand in the header (only ``DELIMITER``), in the query, in a form field or
in a preset that these name; the first of these places where it stands decides.
A field may come after the file, so an option that is not set yet may still be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar, cast

from ingest_api.parsing.file_format import AUTO, DELIMITERS, USUAL_DELIMITER
from ingest_api.uploads.column_mappings import columns_of
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.validation.phones import PHONE_REGIONS
from schemas.events import JOB_MODES
from schemas.rules.overwrite import OverwriteError, filled_fields
from schemas.rules.value_rules import DATE_ORDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.web.roles import Role
    from schemas.events import ColumnMapping, DateOrder, JobMode

_BLANK_CELLS: Final = ("keep", "clear")
_DEFAULTS: Final = {
    "importType": "insert",
    "blankCells": "keep",
    "dateOrder": "MDY",
    "unknownColumns": "refuse",
    "optIns": "keep",
    "onInvalidOptional": "reject",
}
_ALLOWED: Final[dict[str, Sequence[str]]] = {
    "DELIMITER": (*DELIMITERS, AUTO),
    "importType": JOB_MODES,
    "blankCells": _BLANK_CELLS,
    "dryRun": ("true", "false"),
    "dateOrder": DATE_ORDERS,
    "unknownColumns": ("refuse", "ignore", "attribute"),
    "optIns": ("keep", "apply"),
    "onInvalidOptional": ("reject", "drop"),
}
_COUNT: Final = re.compile(r"[0-9]{1,12}")
_PERCENT: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
_WHOLE: Final = Decimal(100)
_T = TypeVar("_T")
ROLE_NEEDED: Final[dict[JobMode, Role]] = {
    "insert": "importer",
    "upsert": "importer",
    "delsert": "manager",
    "update": "importer",
    "ignore": "importer",
    "delete": "manager",
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options known so far; None where an option is not set, or not yet."""

    delimiter_name: str | None = None
    mode_name: str | None = None
    blank_cells_name: str | None = None
    overwrite: str | None = None
    """``always`` or ``blank``, by column or for all."""
    dry_run_name: str | None = None
    phone_region: str | None = None
    """The country of phone numbers that name none."""
    date_order_name: str | None = None
    max_delete_percent: Decimal | None = None
    """Of the users, how many a delsert or delete may remove; the other modes remove nobody."""
    max_rejected: int | None = None
    max_rejected_percent: Decimal | None = None
    """Of the file's lines, how many may be rejected."""
    columns: tuple[ColumnMapping, ...] | None = None
    maps_usual_names: bool = False
    """Columns that are not in ``columns`` hold what other programs mean by their names."""
    unknown_columns_name: str | None = None
    sheet: str | None = None
    """Of an Excel workbook: the name or number of the sheet."""
    opt_ins_name: str | None = None
    invalid_optional_name: str | None = None
    preset_name: str | None = None
    """Of the options that count where neither head nor form has one."""

    @property
    def named_delimiter(self) -> str | None:
        """Return the character between cells, or AUTO; None where it is left to the file."""
        return DELIMITERS.get(self.delimiter_name or "", self.delimiter_name)

    @property
    def delimiter(self) -> str:
        """Return the character between cells, or AUTO; a comma where nothing says otherwise."""
        return self.named_delimiter or USUAL_DELIMITER

    @property
    def unknown_columns(self) -> str:
        """Return what becomes of columns of which nothing is known.

        ``refuse``, ``ignore`` or ``attribute``: they hold custom attributes, to be defined.
        """
        return self.unknown_columns_name or _DEFAULTS["unknownColumns"]

    @property
    def opt_ins(self) -> str:
        """Return ``keep`` or ``apply``: whether the file may opt in who has opted out."""
        return self.opt_ins_name or _DEFAULTS["optIns"]

    @property
    def invalid_optional(self) -> str:
        """Return ``reject`` or ``drop``: what an invalid value of an optional column does."""
        return self.invalid_optional_name or _DEFAULTS["onInvalidOptional"]

    @property
    def mode(self) -> JobMode:
        """Return the mode: ``insert`` unless another is set."""
        return cast("JobMode", self.mode_name or _DEFAULTS["importType"])

    @property
    def blank_cells(self) -> str:
        """Return ``keep`` or ``clear``: what an upsert's blank cell does to the field."""
        return self.blank_cells_name or _DEFAULTS["blankCells"]

    @property
    def fills(self) -> int:
        """Return the bits of the fields that an upsert only fills where the user has none."""
        return 0 if self.overwrite is None else filled_fields(self.overwrite)

    @property
    def date_order(self) -> DateOrder:
        """Return the order of day, month and year in the file's dates."""
        return cast("DateOrder", self.date_order_name or _DEFAULTS["dateOrder"])

    @property
    def role_needed(self) -> Role:
        """Return the lowest role that may do what the upload does; a dry run does nothing."""
        if self.is_dry_run:
            return "importer"
        return "admin" if self.opt_ins == "apply" else ROLE_NEEDED[self.mode]

    @property
    def is_dry_run(self) -> bool:
        """True where the upload changes nothing, and is answered with what it would change."""
        return self.dry_run_name == "true"


def options_in_head(headers: Sequence[str], query: Mapping[str, Sequence[str]]) -> ImportOptions:
    """Parse the options in the request's head; ``headers`` are the values of its ``DELIMITER``.

    Raises:
        InvalidRequestError: an option is repeated or has an unknown value.
    """
    in_query = _options(query)
    in_header = _value("DELIMITER", headers)
    return replace(in_query, delimiter_name=in_header or in_query.delimiter_name)


def with_fields(options: ImportOptions, fields: Mapping[str, Sequence[str]]) -> ImportOptions:
    """Return the options of the head, and of the form's fields where the head sets none.

    Raises:
        InvalidRequestError: an option is repeated or has an unknown value.
    """
    in_form = _options(fields)
    return ImportOptions(
        delimiter_name=options.delimiter_name or in_form.delimiter_name,
        mode_name=options.mode_name or in_form.mode_name,
        blank_cells_name=options.blank_cells_name or in_form.blank_cells_name,
        overwrite=options.overwrite or in_form.overwrite,
        dry_run_name=options.dry_run_name or in_form.dry_run_name,
        phone_region=options.phone_region or in_form.phone_region,
        date_order_name=options.date_order_name or in_form.date_order_name,
        max_delete_percent=_first(options.max_delete_percent, in_form.max_delete_percent),
        max_rejected=_first(options.max_rejected, in_form.max_rejected),
        max_rejected_percent=_first(options.max_rejected_percent, in_form.max_rejected_percent),
        columns=_first(options.columns, in_form.columns),
        maps_usual_names=(in_form if options.columns is None else options).maps_usual_names,
        unknown_columns_name=options.unknown_columns_name or in_form.unknown_columns_name,
        sheet=options.sheet or in_form.sheet,
        preset_name=options.preset_name or in_form.preset_name,
        opt_ins_name=options.opt_ins_name or in_form.opt_ins_name,
        invalid_optional_name=options.invalid_optional_name or in_form.invalid_optional_name,
    )


def _options(values: Mapping[str, Sequence[str]]) -> ImportOptions:
    return ImportOptions(
        delimiter_name=_value("DELIMITER", values.get("DELIMITER", ())),
        mode_name=_value("importType", values.get("importType", ())),
        blank_cells_name=_value("blankCells", values.get("blankCells", ())),
        overwrite=_overwrite("overwrite", values.get("overwrite", ())),
        dry_run_name=_value("dryRun", values.get("dryRun", ())),
        phone_region=_region("phoneRegion", values.get("phoneRegion", ())),
        date_order_name=_value("dateOrder", values.get("dateOrder", ())),
        max_delete_percent=_percent("maxDeletePercent", values.get("maxDeletePercent", ())),
        max_rejected=_count("maxRejected", values.get("maxRejected", ())),
        max_rejected_percent=_percent("maxRejectedPercent", values.get("maxRejectedPercent", ())),
        columns=columns_of(values.get("columns", ())),
        maps_usual_names=AUTO in values.get("columns", ()),
        unknown_columns_name=_value("unknownColumns", values.get("unknownColumns", ())),
        sheet=_name("sheet", values.get("sheet", ())),
        preset_name=_name("preset", values.get("preset", ())),
        opt_ins_name=_value("optIns", values.get("optIns", ())),
        invalid_optional_name=_value("onInvalidOptional", values.get("onInvalidOptional", ())),
    )


def _value(name: str, values: Sequence[str]) -> str | None:
    value = _only(name, values)
    if value is not None and value.lower() == AUTO:
        value = AUTO
    if value is not None and value not in _ALLOWED[name]:
        raise invalid_option(name, f"{name} is one of {', '.join(_ALLOWED[name])}.")
    return value


def _overwrite(name: str, values: Sequence[str]) -> str | None:
    value = _only(name, values)
    if value is not None:
        try:
            filled_fields(value)
        except OverwriteError as error:
            raise invalid_option(name, str(error)) from None
    return value


def _region(name: str, values: Sequence[str]) -> str | None:
    value = _only(name, values)
    if value is not None and value not in PHONE_REGIONS:
        raise invalid_option(name, f"{name} is a country by its two letters of ISO 3166, as GB.")
    return value


def _name(name: str, values: Sequence[str]) -> str | None:
    value = _only(name, values)
    if value == "":
        raise invalid_option(name, f"{name} is a name, not an empty text.")
    return value


def _first(in_head: _T | None, in_form: _T | None) -> _T | None:
    return in_form if in_head is None else in_head


def _count(name: str, values: Sequence[str]) -> int | None:
    value = _only(name, values)
    if value is None:
        return None
    if not _COUNT.fullmatch(value):
        raise invalid_option(name, f"{name} is a whole number, such as 0 or 100.")
    return int(value)


def _percent(name: str, values: Sequence[str]) -> Decimal | None:
    value = _only(name, values)
    if value is None:
        return None
    if not _PERCENT.fullmatch(value) or Decimal(value) > _WHOLE:
        raise invalid_option(name, f"{name} is a number from 0 to 100, such as 10 or 2.5.")
    return Decimal(value)


def _only(name: str, values: Sequence[str]) -> str | None:
    if len(values) > 1:
        raise invalid_option(name, f"{name} is given {len(values)} times.")
    return values[0].strip() if values else None
