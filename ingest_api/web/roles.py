"""Accounts and their roles: reader, importer, manager, admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["reader", "importer", "manager", "admin"]
ROLES: Final[tuple[Role, ...]] = ("reader", "importer", "manager", "admin")
"""From the lowest to the highest; a role may do all that lower ones may."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that sends a request.

    The name is an account's, or ``token/<name>`` of a token, or ``jwt/<subject>``.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Return whether the account's role is this one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)
