"""The Postgres schemas that statements name by placeholders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from ingest_api.errors import SchemaGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Parameters = Sequence[object] | Mapping[str, object]

PUBLIC: Final = "public"
"""The Postgres schema whose views show the active projection instance."""


class SchemaNames:
    """The Postgres schemas by the names that statements have for them: ``{name}``."""

    def __init__(self, schemas: Mapping[str, str]) -> None:
        self._names = {name: sql.Identifier(schema) for name, schema in schemas.items()}
        self._are_public = all(schema == PUBLIC for schema in schemas.values())

    def named_in(self, query: LiteralString) -> LiteralString | sql.Composed:
        """Return the statement with the schemas' names in it."""
        return sql.SQL(query).format(**self._names) if self._names else query

    def check_may_be_missing(self) -> None:
        """Raise where a schema other than ``public`` does not exist."""
        if not self._are_public:
            raise SchemaGoneError from None
