"""By which rules the values of a file are read: their version, and what the sender said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from schemas.rules.fields import RULES_VERSION

DateOrder = Literal["MDY", "DMY", "YMD"]
DATE_ORDERS: Final[tuple[DateOrder, ...]] = get_args(DateOrder)
_FIRST_OF_UNSEEN_CHARACTERS: Final = 3


@dataclass(frozen=True, slots=True)
class ValueRules:
    """The rules' version, and how numbers and dates without a country or an order are meant.

    ``phone_region`` is the country of phone numbers that name none, by its two letters of
    ISO 3166; None refuses them.
    """

    version: int = RULES_VERSION
    phone_region: str | None = None
    date_order: DateOrder = "MDY"

    @property
    def are_first(self) -> bool:
        """True under versions 1 and 2, whose meaning stays as it was for the jobs they read."""
        return self.version < _FIRST_OF_UNSEEN_CHARACTERS
