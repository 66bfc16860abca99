"""A file read a byte and a line at a time: what the columnar code must agree with.

Plain Python, no numpy, no Arrow, nothing shared with what it judges but the
event types.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from schemas.events import ChunkRange, JobAccepted, RowRejected, UserRow
from tests.support.models.model import CHANGING, ROW_MODES
from tests.support.models.value_oracle import SUBSCRIPTIONS, Refusal, is_free, stripped, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import AttributeColumn

FIELDS = {
    "firstname": "first_name",
    "lastname": "last_name",
    "email": "email",
    "mobilenumber": "mobile_number",
    "country": "country",
    "state": "state",
    "lastactivedate": "last_active_date",
    "smssubscription": "sms_subscription",
    "emailsubscription": "email_subscription",
    "voicesubscription": "voice_subscription",
    "emailoptout": "!email_subscription",
    "donotcall": "!voice_subscription",
}
"""After an exclamation mark those of columns that a test's job maps to the opposite."""
HEADERS = {
    "first_name": "First Name",
    "last_name": "Last Name",
    "email": "Email",
    "mobile_number": "Mobile Number",
    "country": "Country",
    "state": "State",
    "last_active_date": "Last Active Date",
    "sms_subscription": "SMS Subscription",
    "email_subscription": "Email Subscription",
    "voice_subscription": "Voice Subscription",
}
ORDER = tuple(HEADERS)
ADDED = {"errorline", "errorcode", "errorreason"}
REQUIRED = ("first_name", "last_name", "email", "country")
KEYS = {"email": "email", "mobileNumber": "mobile_number"}
USA = ("usa", "us", "united states", "united states of america")
REASONS = {
    "TOO_FEW_FIELDS": "The line has {found} fields, the header has {expected}.",
    "TOO_MANY_FIELDS": "The line has {found} fields, the header has {expected}.",
    "KEY_MISSING": "{column} is required: it is the reconciliation key.",
    "KEY_TOO_LONG": "{column} is longer than 1024 bytes.",
    "REQUIRED": "{column} is required.",
    "STATE_REQUIRED": "State is required where the country is USA.",
    "EMAIL_INVALID": "{column} is not a valid email address.",
    "MOBILE_INVALID": "{column} is not a phone number in international form, such as +14155550123.",
    "DATE_INVALID": "{column} is not a date: use MM/DD/YYYY or YYYY-MM-DD.",
    "BOOLEAN_INVALID": "{column} is neither true nor false.",
    "NUMBER_INVALID": "{column} is not a number such as 12 or -0.5.",
    "NUMBER_TOO_LARGE": "{column} has more than 15 digits.",
    "TOO_LONG": "{column} is longer than {limit} characters.",
}
UNSEEN_REASONS = frozenset({"EMAIL_INVALID", "MOBILE_INVALID", "HIDDEN_CHARACTER"})
"""Codes whose reason says more than the code since version 3; the oracle does not know it."""
LATER_REASONS = REASONS | {
    "DATE_INVALID": "{column} is not a date: use MM/DD/YYYY or YYYY-MM-DD, with a time or not.",
    "BOOLEAN_INVALID": "{column} is neither true nor false: use true, yes, y, t, on or 1,"
    " or false, no, n, f, off or 0.",
    "HIDDEN_CHARACTER": "",
}

Fault = tuple[str, int]
"""A code and a physical line."""
Record = tuple[int, str]
"""A physical line and the record as it is in the file."""


def accepted_job(**changes: Any) -> JobAccepted:
    """A job for tests that need any."""
    job = JobAccepted(
        job_id=5971883457542586123,
        attempt="attempt",
        mode="insert",
        delimiter=",",
        charset="utf-8",
        compression="none",
        blank_cells="keep",
        reconciliation_key="email",
        rules_version=3,
        accepted_at=datetime(2026, 3, 4, 23, 59, 59, 123456, UTC),
        accepted_by="admin",
        file_name="users.csv",
        size_bytes=1,
        sha256="0" * 64,
        lines=1,
        rejected_lines=0,
        chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=1),
    )
    return replace(job, **changes)


class _FaultError(Exception):
    def __init__(self, code: str, line: int) -> None:
        super().__init__(code)
        self.fault: Fault = (code, line)


def read_records(
    content: bytes, delimiter: str = ",", rules_version: int = 3
) -> list[Record] | Fault:
    """The records of a UTF-8 file, blank ones left out, or the first fault on the way."""
    try:
        records = list(_Reader(content, delimiter).records())
    except _FaultError as error:
        return error.fault
    if rules_version < 3:
        return [(line, raw) for line, raw in records if raw]
    return [(line, raw) for line, raw in records if not _is_blank(raw, delimiter)]


def _is_blank(raw: str, delimiter: str) -> bool:
    """Whether no cell holds anything but white space."""
    cells, is_quoted = [""], False
    for character in raw:
        is_quoted ^= character == '"'
        if character == delimiter and not is_quoted:
            cells.append("")
        else:
            cells[-1] += character
    return all(re.fullmatch(r'(|"\s*")', cell.strip()) for cell in cells)


class _Reader:
    """Goes a character at a time; ``state`` is where it is in a cell."""

    def __init__(self, content: bytes, delimiter: str) -> None:
        self._delimiter = delimiter
        self._damage: int | None = None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            self._damage = error.start
            text = content[: error.start].decode()
        self._text = text.removeprefix("\ufeff")
        self._line = self._quote_line = 1

    def records(self) -> Iterator[Record]:
        state, begin, first_line = "cell start", 0, 1
        for at, character in enumerate(self._text):
            state = self._next_state(state, character)
            if state == "record end":
                end = at - 1 if self._text[begin:at].endswith("\r") else at
                yield first_line, self._text[begin:end]
                state, begin, first_line = "cell start", at + 1, self._line
        if self._damage is not None:
            raise _FaultError("INVALID_BYTES", self._line)
        if state == "quoted":
            raise _FaultError("QUOTE_NOT_CLOSED", self._quote_line)
        if state == "returned":
            raise _FaultError("BARE_CARRIAGE_RETURN", self._line)
        if begin < len(self._text):
            yield first_line, self._text[begin:]

    def _next_state(self, state: str, character: str) -> str:
        if character == "\0" and state not in {"returned", "quote in quoted"}:
            raise _FaultError("NUL_CHARACTER", self._line)
        line = self._line
        if character == "\n":
            self._line += 1
        if state == "quoted":
            return "quote in quoted" if character == '"' else "quoted"
        if state == "returned" and character != "\n":
            code = "NUL_CHARACTER" if character == "\0" else "BARE_CARRIAGE_RETURN"
            raise _FaultError(code, line)
        if state == "quote in quoted" and character == '"':
            return "quoted"
        return self._outside(state, character, line)

    def _outside(self, state: str, character: str, line: int) -> str:
        if character == "\n":
            return "record end"
        if character == "\r":
            return "returned"
        if character == self._delimiter:
            return "cell start"
        if state == "quote in quoted":
            code = "NUL_CHARACTER" if character == "\0" else "TEXT_AFTER_CLOSING_QUOTE"
            raise _FaultError(code, line)
        if character != '"':
            return "unquoted"
        if state == "unquoted":
            raise _FaultError("QUOTE_IN_UNQUOTED_CELL", line)
        self._quote_line = line
        return "quoted"


def read_events(content: bytes, job: JobAccepted) -> list[UserRow | RowRejected]:
    """What a pass over a well-formed UTF-8 file comes to, each with sequence 0."""
    records = read_records(content, job.delimiter, job.rules_version)
    assert isinstance(records, list), records
    (_, header), *lines = records
    names = [name.strip() for name in _cells(header, job.delimiter)]
    return [
        _event(job, names, number, line, raw) for number, (line, raw) in enumerate(lines, start=1)
    ]


def _cells(record: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(record, newline=""), delimiter=delimiter, strict=True)
    return next(reader)


def _event(
    job: JobAccepted, names: list[str], number: int, line: int, raw: str
) -> UserRow | RowRejected:
    cells = _cells(raw, job.delimiter)
    if job.rules_version >= 2 and any(_plain(name) in ADDED for name in names):
        cells = [re.sub(r"\A'(?='*[=+@\t\r-])", "", cell) for cell in cells]
    try:
        return _row(job, names, cells, (number, line, raw))
    except RefusedLineError as error:
        reasons = REASONS if job.rules_version < 3 else LATER_REASONS
        has_added = job.rules_version >= 3 and len(cells) > len(names)
        added = sum(_plain(name) in ADDED for name in names) if has_added else 0
        faults: list[dict[str, Any]] = [
            {
                "column": refusal.column,
                "code": refusal.code,
                "reason": reasons[refusal.code].format(
                    column=refusal.column,
                    limit=refusal.limit,
                    found=len(cells) - added,
                    expected=len(names) - added,
                ),
                "value": refusal.value and refusal.value[: 255 if number else 1024],
            }
            for number, refusal in enumerate(error.refusals)
        ]
        first, *further = faults
        has_further = further and job.rules_version >= 3
        return RowRejected(
            job_id=job.job_id,
            record_number=number,
            line=line,
            sequence=0,
            **first,
            raw=raw,
            further_faults=_json(further[:50]) if has_further else None,
        )


def _json(faults: list[dict[str, Any]]) -> str:
    return json.dumps(faults, ensure_ascii=False, separators=(",", ":"))


class RefusedLineError(Exception):
    """A line is refused, for all of these."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(refusals)
        self.refusals = refusals


def _row(
    job: JobAccepted, names: list[str], cells: list[str], place: tuple[int, int, str]
) -> UserRow:
    if len(cells) != len(names):
        code = "TOO_FEW_FIELDS" if len(cells) < len(names) else "TOO_MANY_FIELDS"
        raise RefusedLineError([Refusal(None, code, None)])
    types = {_plain(column.name): column for column in job.attributes}
    columns = {_field(name, types): name for name in names if _plain(name) not in ADDED}
    key_field = KEYS.get(job.reconciliation_key, "@" + job.reconciliation_key)
    names_of_fields = [_field(name, types) for name in columns.values()]
    texts = {
        field: stripped(
            cell, job, is_free=is_free(field, _type(field, types)) and field != key_field
        )
        for field, cell in zip(names_of_fields, _held(names, cells), strict=True)
    }
    if job.mode == "delete":  # nothing else is read
        texts = {key_field: texts[key_field]}
    values, refusals = _values(job, texts, columns, types)
    if values[key_field] is None:
        refusals.append(Refusal(columns[key_field], "KEY_MISSING", ""))
    lacks = _lacks(values)
    if job.mode not in (*CHANGING, "delete"):
        refusals += [
            Refusal(columns.get(field, HEADERS[field]), code, texts.get(field))
            for field, code in lacks
            if field != key_field
        ]
    if refusals:
        raise RefusedLineError(refusals)
    key = str(values[key_field])
    found: dict[str, Any] = {"last_active_date": job.accepted_at.date()}
    if job.mode == "delete":
        values, found = {}, {}
    found |= {name: value for name, value in values.items() if value is not None and name[0] != "@"}
    return UserRow(
        job_id=job.job_id,
        record_number=place[0],
        line=place[1],
        sequence=0,
        mode=ROW_MODES[job.mode],
        key=key.lower() if key_field == "email" else key,
        attributes=_attributes(job, values),
        present=_present(job, values),
        occurred_at=job.accepted_at,
        raw=place[2] if lacks or job.mode not in ("upsert", "ignore") else None,
        **found,
    )


def _values(
    job: JobAccepted,
    texts: dict[str, str],
    columns: dict[str, str],
    types: dict[str, AttributeColumn],
) -> tuple[dict[str, Any], list[Refusal]]:
    key_field = KEYS.get(job.reconciliation_key, "@" + job.reconciliation_key)
    values: dict[str, Any] = {}
    refusals: list[Refusal] = []
    for field, text in texts.items():
        is_key = field == key_field
        try:
            values[field] = value_of(
                job, field, (text, columns[field]), _type(field, types), is_key=is_key
            )
        except Refusal as refusal:
            values[field] = text
            refusals.append(refusal)
    for opposite in [field for field in values if field[0] == "!"]:
        field, said = opposite[1:], values.pop(opposite)
        own = values.get(field)
        values[field] = said if own is None else own if said is None else own and said
    return values, refusals


def _held(names: list[str], cells: list[str]) -> list[str]:
    return [cell for name, cell in zip(names, cells, strict=True) if _plain(name) not in ADDED]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _field(name: str, types: dict[str, AttributeColumn]) -> str:
    """The field's name, of a custom attribute after an @."""
    plain = _plain(name)
    return FIELDS.get(plain) or "@" + types[plain].name


def _type(field: str, types: dict[str, AttributeColumn]) -> str | None:
    return types[_plain(field[1:])].type if field[0] == "@" else None


def _attributes(job: JobAccepted, values: dict[str, Any]) -> dict[str, str | None]:
    is_cleared = job.mode in CHANGING and job.blank_cells == "clear"
    found: dict[str, str | None] = {}
    for field, value in values.items():
        if field[0] == "@" and (value is not None or is_cleared):
            text = str(value).lower() if isinstance(value, bool) else value
            found[field[1:]] = text.isoformat() if isinstance(text, date) else text
    return found


def _lacks(values: dict[str, Any]) -> list[tuple[str, str]]:
    lacks = [(field, "REQUIRED") for field in REQUIRED if values.get(field) is None]
    if (values.get("country") or "").lower() in USA and values.get("state") is None:
        lacks.append(("state", "STATE_REQUIRED"))
    return lacks


def _present(job: JobAccepted, values: dict[str, Any]) -> int:
    if job.mode in (*CHANGING, "delete"):
        is_set = {
            field
            for field, value in values.items()
            if value is not None
            or (job.blank_cells == "clear" and field not in {*REQUIRED, *SUBSCRIPTIONS})
        }
    else:
        is_set = {field for field in ORDER if field not in SUBSCRIPTIONS} | {
            field for field in SUBSCRIPTIONS if values.get(field) is not None
        }
    return sum(1 << ORDER.index(field) for field in is_set if field in ORDER)
