"""The sequential oracle itself, on cases small enough to be done by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tests.support.models.model import Job, Model, Rejected

if TYPE_CHECKING:
    from schemas.events import JobMode
    from tests.support.models.model import Outcome

DAY = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date\n"
ADA = "Ada,Lovelace,ada@example.com,,France,,\n"
BOB = "Bob,Stone,bob@example.com,,USA,Texas,\n"


def _apply(
    model: Model, mode: JobMode, lines: str, job_id: int = 1, header: str = HEADER
) -> Outcome:
    content = (header + lines).encode()
    return model.apply(Job(job_id=job_id, mode=mode, content=content, accepted_at=DAY))


def test_insert_rejects_known_keys_and_repeats() -> None:
    """A key of an earlier job exists; a key of this file is a duplicate."""
    model = Model()
    _apply(model, "insert", ADA)
    outcome = _apply(model, "insert", ADA + BOB + BOB, 2)
    assert outcome.counts == (1, 0, 0, 2)
    assert outcome.rejections == [
        Rejected(1, 2, "KEY_EXISTS"),
        Rejected(3, 4, "DUPLICATE_IN_FILE"),
    ]


def test_upsert_changes_only_what_is_there() -> None:
    """A blank cell keeps the value, an equal line changes nothing."""
    model = Model()
    _apply(model, "insert", ADA)
    changed = "Ada,Byron,ADA@example.com,,,,\n"
    outcome = _apply(model, "upsert", changed + changed + BOB, 2)
    assert outcome.counts == (1, 1, 1, 0)
    assert model.users["ada@example.com"].values["email"] == "ADA@example.com"
    assert model.users["ada@example.com"].values["last_name"] == "Byron"
    assert model.users["ada@example.com"].values["country"] == "France"
    assert model.users["ada@example.com"].job_id == 2


def test_upsert_of_an_incomplete_unknown_user_is_rejected() -> None:
    """It would add a user without a name."""
    outcome = _apply(Model(), "upsert", "eve@example.com,France\n", header="Email,Country\n")
    assert outcome.rejections == [Rejected(1, 2, "REQUIRED")]


def test_delsert_replaces_everyone() -> None:
    """Only the file's users are left, as new ones."""
    model = Model()
    _apply(model, "insert", ADA)
    outcome = _apply(model, "delsert", BOB + BOB, 2)
    assert outcome.counts == (1, 0, 0, 1)
    assert list(model.users) == ["bob@example.com"]
    assert model.users["bob@example.com"].values["last_active_date"] == date(2026, 5, 4)


def test_lines_are_physical_and_records_counted() -> None:
    """A quoted line break moves the line on, not the record."""
    outcome = _apply(Model(), "insert", '"A\nda",L,ada@example.com,,France,,\nx\n')
    assert outcome.rejections == [Rejected(2, 4, "TOO_FEW_FIELDS")]


def test_a_state_is_needed_in_the_usa() -> None:
    """Whatever way the country is written."""
    outcome = _apply(Model(), "insert", "B,S,b@example.com,,united states,,\n")
    assert outcome.rejections == [Rejected(1, 2, "STATE_REQUIRED")]


def test_a_job_left_out_never_ran() -> None:
    """What it would have rejected is taken; only its unfit lines have an outcome."""
    model = Model()
    content = (HEADER + ADA + "No,Address,none,,France,,\n" + BOB).encode()
    left_out = model.leave_out(Job(job_id=1, mode="insert", content=content, accepted_at=DAY))
    outcome = _apply(model, "insert", ADA, 2)

    assert (left_out.counts, left_out.is_reverted) == ((0, 0, 0, 1), True)
    assert left_out.rejections == [Rejected(2, 3, "EMAIL_INVALID")]
    assert outcome.counts == (1, 0, 0, 0)
    assert set(model.users) == {"ada@example.com"}
    assert model.users["ada@example.com"].job_id == 2
