"""Limits of what an upload may reject and remove, decided before anything of it is written (pure).

Each is a parameter of the upload; for a delsert those in per cent have a default, for a delete
that of users who go, from the settings, which a parameter overrides and 100 lifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING, Final

from ingest_api.errors import Detail, invalid_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.dry_runs.comparison import Removal

SMALL_AUDIENCE: Final = 100
"""So many users may be replaced by any file: a default limit is for audiences of more."""
_CENT: Final = Decimal("0.01")
_WHOLE: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """A limit in per cent; ``setting`` is the name of the setting that it is the default of."""

    percent: Decimal
    setting: str | None = None

    @property
    def is_lifted(self) -> bool:
        """Whether it allows everything."""
        return self.percent >= _WHOLE

    def allows(self, part: int, whole: int) -> bool:
        """Return whether so many of a whole are within the limit."""
        return part * 100 <= self.percent * whole

    def said(self, parameter: str) -> str:
        """Return what allows how much."""
        what = f"the setting {self.setting}" if self.setting else parameter
        return f"{what} allows {self.percent.normalize():f} %"

    def remedy(self, parameter: str) -> str:
        """Return how to have it otherwise."""
        if self.setting:
            return f"send it with another {parameter}; 100 lifts the limit"
        return f"send it with a higher {parameter}"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The limits of one upload; None where there is none."""

    max_rejected: int | None = None
    max_rejected_share: Share | None = None
    max_deleted_share: Share | None = None

    @property
    def are_none(self) -> bool:
        """Whether the upload need not be compared with anything."""
        return not self.limit_rejected and self.max_deleted_share is None

    @property
    def limit_rejected(self) -> bool:
        """Whether lines that are rejected are limited."""
        return self.max_rejected is not None or self.max_rejected_share is not None

    def asked_for(self) -> UploadLimits:
        """Return those that the upload itself names."""
        return UploadLimits(
            self.max_rejected,
            _asked_for(self.max_rejected_share),
            _asked_for(self.max_deleted_share),
        )

    def check_rejected(self, lines: int, rejected: int) -> None:
        """Check that no more of the file's lines are rejected.

        Raises:
            InvalidRequestError: more are; it gives the numbers.
        """
        _refuse(self._too_many_rejected(lines, rejected))

    def check_removed(self, removal: Removal) -> None:
        """Check that no more users would be removed.

        Raises:
            InvalidRequestError: more would be; it gives the numbers.
        """
        _refuse(self._too_many_removed(removal))

    def refusals(self, lines: int, rejected: int, removal: Removal) -> list[Detail]:
        """Return what the upload would be refused for."""
        return [*self._too_many_rejected(lines, rejected), *self._too_many_removed(removal)]

    def _too_many_rejected(self, lines: int, rejected: int) -> Iterator[Detail]:
        found = f"{rejected:,} of the file's {lines:,} lines are rejected"
        advice = "nothing was imported; a dry run shows which: correct them, or"
        if self.max_rejected is not None and rejected > self.max_rejected:
            message = (
                f"{found}, and maxRejected allows {self.max_rejected:,}:"
                f" {advice} send it with a higher maxRejected."
            )
            yield Detail("MAX_REJECTED", message)
        share = self.max_rejected_share
        if share is not None and not share.allows(rejected, lines):
            name = "maxRejectedPercent"
            message = (
                f"{found}, {_percent(rejected, lines)} %, and {share.said(name)}:"
                f" {advice} {share.remedy(name)}."
            )
            yield Detail("MAX_REJECTED_PERCENT", message)

    def _too_many_removed(self, removal: Removal) -> Iterator[Detail]:
        share, name = self.max_deleted_share, "maxDeletePercent"
        if share is None or share.allows(removal.removed, removal.users):
            return
        if share.setting is not None and removal.users <= SMALL_AUDIENCE:
            return
        message = (
            f"The file would remove {removal.removed:,} of the {removal.users:,} users,"
            f" {_percent(removal.removed, removal.users)} %, and {share.said(name)}:"
            f" check that it is the right file and whole, or {share.remedy(name)}."
        )
        yield Detail("MAX_DELETE_PERCENT", message)


NO_LIMITS: Final = UploadLimits()


def _refuse(details: Iterator[Detail]) -> None:
    if found := list(details):
        raise invalid_file(*found)


def _asked_for(share: Share | None) -> Share | None:
    return share if share is not None and share.setting is None else None


def _percent(part: int, whole: int) -> str:
    """Return the share, rounded up: what is over a limit is never shown as the limit."""
    return f"{(Decimal(part * 100) / whole).quantize(_CENT, ROUND_UP).normalize():f}"
