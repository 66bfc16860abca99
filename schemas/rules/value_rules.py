"""By which rules the values of a file are read: their version, and what the sender said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from schemas.events import DateOrder
from schemas.rules.fields import RULES_VERSION

DATE_ORDERS: Final[tuple[DateOrder, ...]] = get_args(DateOrder)
_FIRST_OF_UNSEEN_CHARACTERS: Final = 3


@dataclass(frozen=True, slots=True)
class ValueRules:
    """The rules' version, and how numbers and dates without a country or an order are meant.

    ``phone_region`` is the country of phone numbers that name none, by its two letters of
    ISO 3166; None refuses them.
    ``drops_invalid``: an invalid value of an optional field is left out, and its line counts.
    """

    version: int = RULES_VERSION
    phone_region: str | None = None
    date_order: DateOrder = "MDY"
    drops_invalid: bool = False

    @property
    def are_first(self) -> bool:
        """True under versions 1 and 2, whose meaning stays as it was for the jobs they read."""
        return self.version < _FIRST_OF_UNSEEN_CHARACTERS
