"""What each mode of a job does with the user of a line's key: one table for every side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.events import JobMode, RowMode

Existing = Literal["refused", "changed", "kept", "deleted"]


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode.

    ``row_mode`` is what the job's rows say in the log, and ``JobOpened`` in its ``mode``.
    ``existing``: what becomes of a user who has the line's key.
    ``adds``: whether a line makes a user where nobody has its key; else it is refused.
    """

    row_mode: RowMode
    existing: Existing
    adds: bool

    @property
    def may_lack_fields(self) -> bool:
        """Whether a line may lack what a new user needs."""
        return not self.adds or self.existing == "changed"

    @property
    def may_be_refused(self) -> bool:
        """Whether the projection may refuse any valid line because of who is there."""
        return not self.adds or self.existing == "refused"


MODES: Final[Mapping[JobMode, Mode]] = {
    "insert": Mode("insert", "refused", adds=True),
    "upsert": Mode("upsert", "changed", adds=True),
    "delsert": Mode("delsert", "refused", adds=True),
    "update": Mode("upsert", "changed", adds=False),
    "ignore": Mode("insert", "kept", adds=True),
    "delete": Mode("upsert", "deleted", adds=False),
}
"""By name.  A delsert begins with nobody: its file becomes the audience."""
REMOVING: Final[Sequence[JobMode]] = (
    "delsert",
    *(name for name, mode in MODES.items() if mode.existing == "deleted"),
)
"""The modes that remove users: it is limited how many, and who may use them."""
