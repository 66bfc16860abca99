"""Every mode of a job has its place everywhere: a test names the places where one is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from deploy.cli.commands.jobs.import_file import import_file
from deploy.cli.commands.jobs.jobs import jobs
from ingest_api.dry_runs import statements
from ingest_api.imports.operations import IMPORT
from ingest_api.uploads.options import ROLE_NEEDED
from ingest_api.validation.validate import Survey
from processor.verification import staged
from schemas.codec import codec
from schemas.codec.codec import UndecodableError
from schemas.events import JOB_MODES, JobOpened
from schemas.read_model.tables import ddl
from schemas.rules.modes import MODES
from tests.support.chaos import clients
from tests.support.checkout import CHECKOUT
from tests.support.models import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.events import JobMode

OPENED = JobOpened(
    job_id=1,
    previous_job_id=0,
    mode="insert",
    lines=1,
    file_name=None,
    sha256="0" * 64,
    accepted_at=datetime(2026, 3, 1, tzinfo=UTC),
    accepted_by="admin",
)


def _choices(command: Any) -> Iterable[str]:
    return _mode_option(command).type.choices


def _mode_option(command: Any) -> Any:
    return next(option for option in command.params if option.name == "mode")


def _described(text: str, mark: str = "`") -> Iterable[str]:
    """The modes that a text names, each between two of these marks."""
    return [mode for mode in JOB_MODES if re.search(rf"{mark}{mode}{mark}", text)]


def _checks(column: str) -> Iterable[str]:
    """The words that a column of the tables may hold."""
    (words,) = re.findall(rf"CHECK \({column} IN \(([^)]*)\)\)", ddl())
    return re.findall(r"'(\w+)'", words)


def _of_form(name: str) -> Any:
    body: Any = IMPORT.body
    return body["multipart/form-data"]["properties"][name]


def _document(name: str) -> Callable[[], Iterable[str]]:
    return lambda: _described((CHECKOUT / name).read_text())


PLACES: dict[str, Callable[[], Iterable[str]]] = {
    "schemas/rules/modes.py: MODES": lambda: MODES,
    "schemas/read_model/tables.sql: open_mode": lambda: _checks("open_mode"),
    "schemas/read_model/tables.sql: mode of job": lambda: _checks("mode"),
    "ingest_api/uploads/options.py: ROLE_NEEDED": lambda: ROLE_NEEDED,
    "ingest_api/validation/validate.py: Survey.rejected": lambda: Survey(None, "").rejected,  # pyright: ignore[reportArgumentType] - only its default is read
    "ingest_api/dry_runs/statements.py: OUTCOMES": lambda: statements.OUTCOMES,
    "ingest_api/imports/operations.py: importType, words": lambda: _of_form("importType")["enum"],
    "ingest_api/imports/operations.py: importType, the text": lambda: _described(
        _of_form("importType")["description"]
    ),
    "processor/verification/staged.py: MODES": lambda: staged.MODES,
    "rollcall import --mode": lambda: _choices(import_file),
    "rollcall import --help": lambda: _described(_mode_option(import_file).help, r"\b"),
    "rollcall jobs --mode": lambda: _choices(jobs),
    "docs/files.md": _document("docs/files.md"),
    "docs/design/projection.md": _document("docs/design/projection.md"),
    "tests/support/chaos/clients.py: MODES": lambda: clients.MODES,
    "tests/support/models/model.py: ROW_MODES": lambda: model.ROW_MODES,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_knows_every_mode(place: str) -> None:
    """Where this fails, a mode is missing at the place that the test's name says."""
    missing = sorted(set(JOB_MODES) - set(PLACES[place]()))
    assert not missing, f"{place} lacks {', '.join(missing)}"


@pytest.mark.parametrize("mode", JOB_MODES)
def test_a_mode_keeps_its_name_in_the_log(mode: JobMode) -> None:
    """Also one that the first versions of the enum have no symbol for."""
    opened = replace(OPENED, mode=mode)
    assert codec.decode(codec.encode(opened)) == opened


def test_a_mode_of_a_later_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for the mode that stands beside it: nobody has said that."""
    later: Any = "merge"
    monkeypatch.setattr(codec, "MODES", {**MODES, later: MODES["update"]})
    value = codec.encode(replace(OPENED, mode=later))
    monkeypatch.undo()
    with pytest.raises(UndecodableError, match="UNKNOWN_SYMBOL"):
        codec.decode(value)
