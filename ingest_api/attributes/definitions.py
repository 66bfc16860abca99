"""Defines custom attributes: appends the same definition to every partition of `user-events`.

A definition counts in a partition where it is the first of its name there, so two
different ones of one name must never both be first somewhere, whatever dies.
Partition 0 decides: a definition goes there first, and what is the first of its
name there, as the projection reports it, is what goes to all other partitions.
No other definition ever gets there, so every replay comes to the same.
Where the process dies in between, the same request again goes on from what the
projection knows.

An advisory lock lets one instance define at a time, because the rest of the rules
(two names that headers cannot tell apart, how many there may be) look at what is
defined already; the lock is waited for, and given up with the connection.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, LiteralString

from ingest_api.attributes.queries import select_attributes
from ingest_api.errors import (
    ConflictError,
    Detail,
    InvalidRequestError,
    LogUnavailableError,
    UnavailableError,
)
from ingest_api.web.json_body import JsonBody
from schemas.events import AttributeDefined, AttributeType
from schemas.rules.attributes import (
    KEY_TYPES,
    MAX_ATTRIBUTES,
    NAME_PATTERN,
    TAKEN_NAMES,
    plain_name,
)
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.event_log.ledger import JobLedger
    from ingest_api.event_log.user_events import UserLog
    from ingest_api.postgres.pool import Connection, Database
    from schemas.rules.attributes import Attribute

    Row = dict[str, Any]

INVALID_ATTRIBUTE: Final = "Invalid attribute"
_DECIDING_PARTITION: Final = 0
_LOOK_EVERY_S: Final = 0.02
_LOCK: LiteralString = """
SELECT pg_advisory_xact_lock(hashtextextended('rollcall attribute definitions', 0))
"""
_HAS_READ_MODEL: LiteralString = """
SELECT to_regclass('public.attribute_definitions') IS NOT NULL AS is_there
"""
_SELECT_DEFINITIONS: LiteralString = """
SELECT name, type, is_reconciliation_key, is_indexed, defined_at, defined_by, partitions
FROM public.attribute_definitions
"""
_NOT_EVERYWHERE: Final = (
    "Not every partition knows the attribute yet: send the same request again, until it is answered"
)


class AttributeBody(JsonBody, frozen=True):
    """The body of a request to define a custom attribute."""

    name: str
    type: AttributeType
    is_reconciliation_key: bool = False
    is_indexed: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition in the read model, and the partitions that have it."""

    partitions: frozenset[int]
    event: AttributeDefined

    def rank(self, partitions: int) -> tuple[bool, datetime, str]:
        """Return its place among those of which only one may be: known everywhere before others."""
        return len(self.partitions) < partitions, self.event.defined_at, self.event.name

    def is_as(self, body: AttributeBody) -> bool:
        """Return whether this is the requested definition."""
        event = self.event
        return (event.type, event.is_reconciliation_key, event.is_indexed) == (
            body.type,
            body.is_reconciliation_key,
            body.is_indexed,
        )


class AttributeDefinitions:
    """Defines and lists custom attributes, for one API process."""

    def __init__(
        self,
        database: Database,
        log: UserLog,
        ledger: JobLedger,
        *,
        reconciliation_key: str,
        timeout_s: float,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._log = log
        self._reconciliation_key = reconciliation_key
        self._timeout_s = timeout_s
        # The database's lock would have each that waits hold a connection.
        self._one_at_a_time = asyncio.Lock()

    _SELECT: Final = """
    SELECT name, type, is_reconciliation_key, is_indexed, defined_at, defined_by
    FROM public.attributes
    ORDER BY defined_at, name
    """

    async def select(self) -> list[Row]:
        """Return all attributes that may be used, the oldest first.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        return await self._database.select_projected(self._SELECT)

    async def usable(self) -> tuple[Attribute, ...]:
        """Return the attributes that files may have columns of, with their other names.

        Raises:
            StoreUnavailableError: Postgres doesn't answer within some seconds.
        """
        changes = self._ledger.attribute_changes
        defined = await select_attributes(self._database)
        return tuple(
            replace(each, label=changes[each.name].label) if each.name in changes else each
            for each in defined
            if each.name not in changes or not changes[each.name].is_retired
        )

    async def define_text(self, name: str, *, account: str) -> None:
        """Define an attribute of text without an index, as :meth:`define` does."""
        await self.define(AttributeBody(name=name, type="string", is_indexed=False), account)

    async def define(self, body: AttributeBody, account: str) -> None:
        """Define the attribute, and wait until every partition knows it; idempotent.

        Raises:
            InvalidRequestError: it may not be defined.
            ConflictError: its name has another definition.
            UnavailableError: not every partition knows it in time: the same request goes on.
            StoreUnavailableError: Postgres doesn't answer.
        """
        if faults := faults_of(body, self._reconciliation_key):
            raise InvalidRequestError(INVALID_ATTRIBUTE, faults)
        await self._log.check()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._one_at_a_time,
                self._database.transaction() as connection,
            ):
                await connection.execute(_LOCK)
                await self._define(connection, body, account)
        except (TimeoutError, LogUnavailableError):
            raise UnavailableError(_NOT_EVERYWHERE) from None

    async def _define(self, connection: Connection, body: AttributeBody, account: str) -> None:
        definitions = await _select_definitions(connection)
        if body.name not in definitions:
            self._check_free(body.name, definitions)
            await self._append(_event(body, account), _DECIDING_PARTITION)
            await _known_in(connection, body.name, {_DECIDING_PARTITION})
            definitions = await _select_definitions(connection)
        definition = definitions[body.name]
        if not definition.is_as(body):
            raise _defined_otherwise(definition.event)
        self._check_free(body.name, definitions)
        await self._complete(connection, definition)

    def _check_free(self, name: str, definitions: Mapping[str, Definition]) -> None:
        fault = name_conflict(name, definitions, self._log.partitions)
        if fault is not None:
            raise InvalidRequestError(INVALID_ATTRIBUTE, [fault])

    async def _complete(self, connection: Connection, definition: Definition) -> None:
        everywhere = set(range(self._log.partitions))
        for partition in sorted(everywhere - definition.partitions):
            await self._append(definition.event, partition)
        await _known_in(connection, definition.event.name, everywhere)

    async def _append(self, event: AttributeDefined, partition: int) -> None:
        await self._log.append(event, event.name.encode(), partition)


def faults_of(body: AttributeBody, reconciliation_key: str) -> list[Detail]:
    """Return what is wrong with the definition by itself; empty where nothing is."""
    faults: list[Detail] = []
    is_custom_key = reconciliation_key not in KEY_FIELD
    is_key_name = is_custom_key and plain_name(body.name) == plain_name(reconciliation_key)
    if not re.fullmatch(NAME_PATTERN, body.name):
        message = "It is 1 to 64 ASCII letters, digits, spaces, _ and -, and begins with a letter."
        faults.append(Detail("NAME_INVALID", message, column="name"))
    elif plain_name(body.name) in TAKEN_NAMES:
        message = f"Every user has a field {body.name} already, or one that headers can't tell."
        faults.append(Detail("NAME_TAKEN", message, column="name"))
    elif is_key_name and body.name != reconciliation_key:
        message = f"The reconciliation key of this server is spelled {reconciliation_key}."
        faults.append(Detail("NAME_TAKEN", message, column="name"))
    if body.is_reconciliation_key != is_key_name:
        message = (
            f"The reconciliation key of this server is {reconciliation_key}"
            " (ROLLCALL_RECONCILIATION_KEY): that attribute is marked as it, and no other."
        )
        faults.append(Detail("NOT_THE_KEY", message, column="isReconciliationKey"))
    if body.is_reconciliation_key and body.type not in KEY_TYPES:
        message = f"A reconciliation key is of type {' or '.join(KEY_TYPES)}."
        faults.append(Detail("KEY_TYPE_INVALID", message, column="type"))
    return faults


def name_conflict(
    name: str, definitions: Mapping[str, Definition], partitions: int
) -> Detail | None:
    """Return why this attribute may not be beside those that are defined, or None.

    Of two that cannot both be, and that have both got to the deciding partition
    because a process died in between, one that is known everywhere comes before
    the other, else the one that was asked for first.
    """
    own = definitions.get(name)
    if own is None and len(definitions) >= MAX_ATTRIBUTES:
        message = f"There are {MAX_ATTRIBUTES} attributes, and there may be no more."
        return Detail("TOO_MANY_ATTRIBUTES", message, column="name")
    for other_name, other in definitions.items():
        is_before = own is None or other.rank(partitions) < own.rank(partitions)
        if other_name != name and plain_name(other_name) == plain_name(name) and is_before:
            message = f"Headers cannot tell it from the attribute {other_name}."
            return Detail("NAME_TAKEN", message, column="name")
    return None


def _event(body: AttributeBody, account: str) -> AttributeDefined:
    return AttributeDefined(
        name=body.name,
        type=body.type,
        is_reconciliation_key=body.is_reconciliation_key,
        is_indexed=body.is_indexed,
        defined_at=datetime.now(UTC),
        defined_by=account,
    )


async def _known_in(connection: Connection, name: str, partitions: set[int]) -> None:
    """Return once the projection of each of these partitions knows the attribute."""
    while True:
        definition = (await _select_definitions(connection)).get(name)
        if definition is not None and partitions <= definition.partitions:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _select_definitions(connection: Connection) -> dict[str, Definition]:
    """Return by name all that any partition knows; none while there is no read model."""
    has_read_model = await (await connection.execute(_HAS_READ_MODEL)).fetchone()
    if not (has_read_model and has_read_model["is_there"]):
        return {}
    rows = await (await connection.execute(_SELECT_DEFINITIONS)).fetchall()
    return {
        row["name"]: Definition(frozenset(row.pop("partitions")), AttributeDefined(**row))
        for row in rows
    }


def _defined_otherwise(event: AttributeDefined) -> ConflictError:
    return ConflictError(
        f"The attribute {event.name} is already defined otherwise: type {event.type},"
        f" isReconciliationKey {str(event.is_reconciliation_key).lower()},"
        f" isIndexed {str(event.is_indexed).lower()}",
    )
