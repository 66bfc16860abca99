"""The sequential oracle: what the tables hold after jobs, applied one by one in plain Python.

It shares no code with what it judges: no columns, no Kafka, no Postgres, and
rules of values read from the contract again, a cell at a time.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tests.support.models.audience import FIELDS, SUBSCRIPTIONS, User, Users

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.events import JobMode, RowMode

TEXT_FIELDS = ("first_name", "last_name", "country", "state")
REQUIRED = ("first_name", "last_name", "email", "country")
HEADERS = {
    "sms_subscription": "SMS Subscription",
    "email_subscription": "Email Subscription",
    "voice_subscription": "Voice Subscription",
}
ROW_MODES: dict[JobMode, RowMode] = {
    "insert": "insert",
    "upsert": "upsert",
    "delsert": "delsert",
    "update": "upsert",
    "ignore": "insert",
    "delete": "upsert",
}
CHANGING = ("upsert", "update")
"""The modes that change a user who is there."""
_USA = {"usa", "us", "united states", "united states of america"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An accepted upload."""

    job_id: int
    mode: JobMode
    content: bytes
    accepted_at: datetime
    delimiter: str = ","
    fills: tuple[str, ...] = ()
    """The fields that a line only fills where the user has none; "attributes" are all of them."""
    keeps_opt_outs: bool = True
    drops_invalid: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Rejected:
    """A line refused: its number among the data lines, its physical line, why."""

    record_number: int
    line: int
    code: str


@dataclass(frozen=True, slots=True, order=True)
class Noted:
    """A column of a line that was not taken as it stood."""

    record_number: int
    line: int
    column: str
    code: str


@dataclass(slots=True)
class Outcome:
    """What became of a job's lines."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejections: list[Rejected] = field(default_factory=list[Rejected])
    is_reverted: bool = False
    deleted: int = 0
    """Users that are not there any more because the job replaced the audience."""
    notes: list[Noted] = field(default_factory=list[Noted])

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged, rejected."""
        return self.inserted, self.updated, self.unchanged, len(self.rejections)


@dataclass(frozen=True, slots=True)
class Line:
    """A data line taken apart; ``fault`` where its cells cannot be told apart.

    ``dropped`` are cells that are not among them because they are invalid: header and code.
    """

    record_number: int
    line: int
    cells: dict[str, str]
    fault: str | None
    dropped: tuple[tuple[str, str], ...] = ()


class RefusedError(Exception):
    """The line is rejected, with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Model:
    """The audience and the outcome of every job, after the jobs applied so far."""

    def __init__(self) -> None:
        self.users = Users()
        self.outcomes: dict[int, Outcome] = {}

    def leave_out(self, job: Job) -> Outcome:
        """The job's turn, as if it had never run.

        Lines that are unfit by themselves stay refused; no other has an outcome.
        """
        outcome = self.outcomes[job.job_id] = Outcome(is_reverted=True)
        for line in lines_of(job):
            leave_out_line(job, line, outcome)
        return outcome

    def apply(self, job: Job) -> Outcome:
        """Apply the next job; its outcome."""
        outcome = Outcome()
        users = self.users.emptied() if job.mode == "delsert" else self.users
        for line in lines_of(job):
            apply_line(job, line, users=users, outcome=outcome)
        if job.mode == "delsert":
            outcome.deleted = len(self.users.keys() - users.keys())
        self.users = users
        self.outcomes[job.job_id] = outcome
        return outcome


def apply_line(
    job: Job,
    line: Line,
    *,
    users: Users,
    outcome: Outcome,
    position: int | None = None,
) -> None:
    """The line's turn; ``position`` is where the log has it, where that is known."""
    try:
        _apply_fit_line(job, line, users, outcome, position)
    except RefusedError as refusal:
        outcome.rejections.append(Rejected(line.record_number, line.line, refusal.code))
    else:
        outcome.notes += [
            Noted(line.record_number, line.line, column, code) for column, code in line.dropped
        ]


def leave_out_line(job: Job, line: Line, outcome: Outcome) -> None:
    """The turn of a line of a job that counts as if it had never run."""
    try:
        checked_values(job, line)
    except RefusedError as refusal:
        outcome.rejections.append(Rejected(line.record_number, line.line, refusal.code))


def checked_values(job: Job, line: Line) -> dict[str, Any]:
    """The values of a line that is fit by itself, whoever is there already.

    Raises:
        RefusedError: it is not.
    """
    if line.fault:
        raise RefusedError(line.fault)
    cells = line.cells
    if job.mode == "delete":  # nothing else is read
        cells = {name: cell for name, cell in cells.items() if name == "email"}
    values = values_of(cells)
    if values["email"] is None:
        raise RefusedError("KEY_MISSING")
    if job.mode == "delete":
        return values
    if job.mode not in CHANGING:
        _check_complete(values)
    return values


def _apply_fit_line(
    job: Job, line: Line, users: Users, outcome: Outcome, position: int | None
) -> None:
    values = checked_values(job, line)
    key = key_of(values)
    known = users.get(key)
    if known and job.mode in CHANGING:
        _update(job, line, users, outcome, position)
        return
    if known and job.mode == "delete":
        users.delete(key)
        outcome.deleted += 1
        return
    if known and job.mode == "ignore":
        outcome.unchanged += 1
        return
    if known:
        is_ours = known.job_id == job.job_id
        raise RefusedError("DUPLICATE_IN_FILE" if is_ours else "KEY_EXISTS")
    if job.mode in ("update", "delete"):
        raise RefusedError("NO_SUCH_USER")
    if job.mode == "upsert" and not is_complete(values):
        raise RefusedError("REQUIRED")
    opted_out = users.opted_out(key) if job.keeps_opt_outs else set[str]()
    users.add(key, _new_user(job, line, _kept_out(line, values, opted_out, outcome), position))
    outcome.inserted += 1


def _kept_out(
    line: Line, values: dict[str, Any], opted_out: set[str], outcome: Outcome
) -> dict[str, Any]:
    """The values of a line, or of a new user's, without opting in; what it would have is noted."""
    kept = {name for name in opted_out if values[name] is not False}
    outcome.notes += [
        Noted(line.record_number, line.line, HEADERS[name], "OPT_OUT_KEPT") for name in kept
    ]
    return values | dict.fromkeys(kept, False)


def key_of(values: dict[str, Any]) -> str:
    """The reconciliation key: what tells that two lines mean the same user."""
    email: str = values["email"]
    return email.lower()


def _update(job: Job, line: Line, users: Users, outcome: Outcome, position: int | None) -> None:
    values = values_of(line.cells)
    key = key_of(values)
    known = users[key]
    if job.keeps_opt_outs:
        said = {name for name in users.opted_out(key) if values[name] is not None}
        said -= {*job.fills}
        values = _kept_out(line, values, said, outcome)
    changed = known.values | {
        name: value
        for name, value in values.items()
        if value is not None and not (name in job.fills and known.values[name] is not None)
    }
    if changed == known.values:
        outcome.unchanged += 1
        return
    users[key] = replace(
        known,
        values=changed,
        modified_at=job.accepted_at,
        job_id=job.job_id,
        record_number=line.record_number,
        modified_position=position,
    )
    outcome.updated += 1


def _new_user(job: Job, line: Line, values: dict[str, Any], position: int | None) -> User:
    whole = dict(values)
    if whole["last_active_date"] is None:
        whole["last_active_date"] = job.accepted_at.date()
    for name in SUBSCRIPTIONS:
        if whole[name] is None:
            whole[name] = True
    return User(whole, job.accepted_at, job.accepted_at, job.job_id, line.record_number, position)


def _check_complete(values: dict[str, Any]) -> None:
    if any(values[name] is None for name in REQUIRED):
        raise RefusedError("REQUIRED")
    if not is_complete(values):
        raise RefusedError("STATE_REQUIRED")


def is_complete(values: dict[str, Any]) -> bool:
    """Whether they are enough for a new user."""
    if any(values[name] is None for name in REQUIRED):
        return False
    return values["country"].lower() not in _USA or values["state"] is not None


def lines_of(job: Job) -> list[Line]:
    """The data lines of a file, with their numbers."""
    text = job.content.decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=job.delimiter, strict=True)
    headers = {_field_name(cell): cell.strip() for cell in next(reader)}
    found: list[Line] = []
    begin = reader.line_num + 1
    for cells in reader:
        if cells:
            line = Line(len(found) + 1, begin, *_cells([*headers], cells))
            drops = job.drops_invalid and job.mode != "delete"
            found.append(_without_invalid(line, headers) if drops else line)
        begin = reader.line_num + 1
    return found


def _without_invalid(line: Line, headers: dict[str, str]) -> Line:
    """The line without the cells of optional columns that are invalid."""
    cells, dropped = dict(line.cells), list[tuple[str, str]]()
    for name, cell in line.cells.items():
        if name not in REQUIRED:
            try:
                _value(name, cell.strip())
            except RefusedError as refusal:
                cells[name] = ""
                dropped.append((headers[name], refusal.code))
    return replace(line, cells=cells, dropped=tuple(dropped))


def _cells(names: list[str], cells: list[str]) -> tuple[dict[str, str], str | None]:
    if len(cells) != len(names):
        return {}, "TOO_FEW_FIELDS" if len(cells) < len(names) else "TOO_MANY_FIELDS"
    return dict(zip(names, cells, strict=True)), None


def _field_name(header: str) -> str:
    plain = re.sub(r"[\s_-]", "", header).lower()
    return next(name for name in FIELDS if name.replace("_", "") == plain)


def values_of(cells: dict[str, str]) -> dict[str, Any]:
    """Every field's value, None where it is blank or its column is missing."""
    found = {name: _value(name, cell.strip()) for name, cell in cells.items()}
    return {name: found.get(name) for name in FIELDS}


def _value(name: str, cell: str) -> str | bool | date | None:
    if not cell:
        return None
    if name == "email":
        return _email(cell)
    if name == "mobile_number":
        return _mobile(cell)
    if name == "last_active_date":
        return _date(cell)
    return _boolean(cell) if name in SUBSCRIPTIONS else _text(cell)


def _text(cell: str) -> str:
    if len(cell) > 255:
        raise RefusedError("TOO_LONG")
    return cell


def _email(cell: str) -> str:
    if len(cell) > 254:
        raise RefusedError("TOO_LONG")
    local, at, domain = cell.partition("@")
    labels = domain.split(".")
    is_dotted = len(labels) > 1 and all(labels) and "@" not in domain
    if not at or not 1 <= len(local) <= 64 or not is_dotted or re.search(r"\s", cell):
        raise RefusedError("EMAIL_INVALID")
    return cell


def _mobile(cell: str) -> str:
    digits = re.sub(r"[ ()./-]", "", cell)
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        raise RefusedError("MOBILE_INVALID")
    return digits


def _date(cell: str) -> date:
    american = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", cell)
    try:
        if american:
            month, day, year = map(int, american.groups())
            return date(year, month, day)
        return date.fromisoformat(cell)
    except ValueError:
        raise RefusedError("DATE_INVALID") from None


def _boolean(cell: str) -> bool:
    if cell.lower() in {"true", "yes", "y", "1"}:
        return True
    if cell.lower() in {"false", "no", "n", "0"}:
        return False
    raise RefusedError("BOOLEAN_INVALID")
