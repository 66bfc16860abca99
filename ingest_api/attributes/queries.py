"""The query of the custom attributes in the read model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from schemas.rules.attributes import Attribute

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database

_TIMEOUT_S: Final = 3.0
_ATTRIBUTES: Final[LiteralString] = """
SELECT name, type, is_reconciliation_key, is_indexed FROM public.attributes ORDER BY name
"""


async def select_attributes(database: Database) -> tuple[Attribute, ...]:
    """Select what every partition knows, by name; none while there is no read model yet.

    Raises:
        StoreUnavailableError: Postgres doesn't answer within some seconds.
    """
    rows = await database.select_projected(_ATTRIBUTES, timeout_s=_TIMEOUT_S)
    return tuple(Attribute(**row) for row in rows)
