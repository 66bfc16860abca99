"""Which limits an upload has, and what it is told where it goes over one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingest_api.dry_runs.comparison import Removal
from ingest_api.dry_runs.limits import UploadLimits
from ingest_api.errors import INVALID_FILE, IngestError
from ingest_api.imports.default_limits import DelsertLimits, limits_of
from ingest_api.uploads.options import ImportOptions

DEFAULTS = DelsertLimits()
OF_DELSERT = limits_of(ImportOptions(mode_name="delsert"), DEFAULTS)


def refused(rejected: int = 0, removed: int = 0, **options: object) -> list[tuple[str, str]]:
    """What a delsert of 200 lines against 1,000 users would be refused for."""
    limits = limits_of(ImportOptions(mode_name="delsert", **options), DEFAULTS)  # type: ignore[arg-type]
    found = limits.refusals(200, rejected, Removal(1000, removed))
    return [(each.code, each.message) for each in found]


def test_a_delsert_has_limits_on_both_sides() -> None:
    """A tenth of the lines, half of the users; each names its setting and how to override it."""
    assert refused(rejected=20, removed=500) == []
    (rejected,), (removed,) = refused(rejected=21), refused(removed=501)
    assert rejected[0] == "MAX_REJECTED_PERCENT"
    assert (
        "21 of the file's 200 lines are rejected, 10.5 %, and the setting"
        " ROLLCALL_DELSERT_MAX_REJECTED_PERCENT allows 10 %"
    ) in rejected[1]
    assert "maxRejectedPercent; 100 lifts the limit" in rejected[1]
    assert removed[0] == "MAX_DELETE_PERCENT"
    assert (
        "would remove 501 of the 1,000 users, 50.1 %, and the setting"
        " ROLLCALL_DELSERT_MAX_DELETE_PERCENT allows 50 %"
    ) in removed[1]


def test_a_parameter_overrides_the_default_and_100_lifts_it() -> None:
    """In both directions."""
    assert refused(rejected=200, max_rejected_percent=Decimal(100)) == []
    assert refused(removed=1000, max_delete_percent=Decimal(100)) == []
    (told,) = refused(rejected=3, max_rejected_percent=Decimal(1))
    assert "maxRejectedPercent allows 1 %" in told[1]
    assert "setting" not in told[1]
    both = refused(rejected=3, max_rejected=2, max_rejected_percent=Decimal(1))
    assert [code for code, _ in both] == ["MAX_REJECTED", "MAX_REJECTED_PERCENT"]


def test_a_small_audience_may_be_replaced_by_default() -> None:
    """A limit that the upload itself names is for small ones, too."""
    OF_DELSERT.check_removed(Removal(100, 100))
    with pytest.raises(IngestError):
        OF_DELSERT.check_removed(Removal(101, 101))
    named = limits_of(ImportOptions(mode_name="delsert", max_delete_percent=Decimal(50)), DEFAULTS)
    with pytest.raises(IngestError):
        named.check_removed(Removal(100, 100))


def test_a_delete_has_the_limit_of_users_who_go() -> None:
    """How many of its keys nobody has is no sign of a wrong file."""
    of_delete = limits_of(ImportOptions(mode_name="delete"), DEFAULTS)
    assert of_delete.refusals(200, 200, Removal(1000, 500)) == []
    (told,) = of_delete.refusals(200, 0, Removal(1000, 501))
    assert "setting ROLLCALL_DELSERT_MAX_DELETE_PERCENT allows 50 %" in told.message
    lifted = limits_of(ImportOptions(mode_name="delete", max_delete_percent=Decimal(100)), DEFAULTS)
    assert lifted.are_none


@pytest.mark.parametrize("mode", ["insert", "upsert", "update", "ignore"])
def test_other_modes_have_only_the_limits_that_they_name(mode: str) -> None:
    """Of 0 none is rejected: all or nothing."""
    assert limits_of(ImportOptions(mode_name=mode), DEFAULTS).are_none
    nothing = limits_of(ImportOptions(mode_name=mode, max_rejected=0), DEFAULTS)
    nothing.check_rejected(5, 0)
    with pytest.raises(IngestError) as told:
        nothing.check_rejected(1_000_000, 1)
    assert told.value.message == INVALID_FILE
    (detail,) = told.value.details
    assert detail.code == "MAX_REJECTED"
    assert (
        "1 of the file's 1,000,000 lines are rejected, and maxRejected allows 0" in detail.message
    )


def test_defaults_are_told_from_limits_that_were_asked_for() -> None:
    """A dry run tells of a default, and is itself refused only over what it asks for."""
    assert OF_DELSERT.asked_for().are_none
    asked = limits_of(ImportOptions(mode_name="delsert", max_rejected=0), DEFAULTS).asked_for()
    assert asked == UploadLimits(max_rejected=0)
