"""Collects the differences that a verification finds: the first of a kind shown, all counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_OF_A_KIND: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference between tables and log.

    ``subject`` says which row of the table: a user's key, a job, a partition.
    ``column`` is None where a whole row is missing or is there without reason.
    ``expected`` is what the log comes to, ``found`` what the table has.
    """

    table: str
    subject: str
    column: str | None
    expected: str
    found: str

    @property
    def kind(self) -> str:
        """The table and column by which findings are counted."""
        return f"{self.table}.{self.column or 'rows'}"

    def __str__(self) -> str:
        place = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{place}, {self.subject}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Findings:
    """Findings as they come; ``shown`` has at most so many of a kind, ``counts`` has all."""

    shown: list[Finding] = field(default_factory=list[Finding])
    counts: Counter[str] = field(default_factory=Counter[str])

    def note(self, finding: Finding) -> None:
        """Add a finding."""
        if self.counts[finding.kind] < MOST_OF_A_KIND:
            self.shown.append(finding)
        self.counts[finding.kind] += 1

    def count_more(self, kind: str, count: int) -> None:
        """Count findings that are not shown."""
        if count:
            self.counts[kind] += count

    def compare(
        self, table: str, subject: str, values: Iterable[tuple[str, object, object]]
    ) -> None:
        """Note each (column, expected, found) that differs."""
        for column, expected, found in values:
            if expected != found:
                self.note(
                    Finding(
                        table=table,
                        subject=subject,
                        column=column,
                        expected=shown_value(expected),
                        found=shown_value(found),
                    )
                )

    def merge(self, other: Findings) -> None:
        """Add all of another one's."""
        shown = Counter(finding.kind for finding in self.shown)
        for finding in other.shown:
            if shown[finding.kind] < MOST_OF_A_KIND:
                shown[finding.kind] += 1
                self.shown.append(finding)
        self.counts += other.counts


def shown_value(value: object) -> str:
    """Return a value as a finding shows it."""
    return "null" if value is None else str(value)
