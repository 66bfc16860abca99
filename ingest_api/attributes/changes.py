"""Changes how an attribute is shown, and whether files may have columns of it.

Changes are events of `job-events`, of one name the last counts; definition and values stay.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.attributes.definitions import INVALID_ATTRIBUTE
from ingest_api.errors import (
    Detail,
    InvalidRequestError,
    NotFoundError,
)
from ingest_api.web.json_body import JsonBody
from schemas.events import AttributeChanged
from schemas.rules.attributes import MAX_NAME_CHARACTERS, TAKEN_NAMES, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ingest_api.attributes.definitions import AttributeDefinitions
    from ingest_api.event_log.job_events import JobLog

UNKNOWN_ATTRIBUTE: Final = "There is no attribute of this name"
_NOT_KNOWN: Final = "It is not known whether the attribute is changed: send the same request again"


class AttributeChange(JsonBody, frozen=True):
    """What changes of an attribute; what is left out stays."""

    label: Annotated[
        str | msgspec.UnsetType | None,
        Meta(description="The name it is shown by, which columns may have, too; null: its own."),
    ] = msgspec.UNSET
    is_retired: Annotated[
        bool | msgspec.UnsetType,
        Meta(description="No file may have a column of it; its values stay, and are shown."),
    ] = msgspec.UNSET


class AttributeChanges:
    """Changes attributes, for one API process."""

    def __init__(self, definitions: AttributeDefinitions, job_log: JobLog) -> None:
        self._definitions = definitions
        self._job_log = job_log

    async def change(self, name: str, body: AttributeChange, account: str) -> dict[str, Any]:
        """Change the attribute; return its row, as :meth:`AttributeDefinitions.select` has it.

        Raises:
            InvalidRequestError: it may not be so.
            NotFoundError: there is no such attribute.
            UnavailableError: it isn't known to be changed.
            StoreUnavailableError: Postgres doesn't answer.
        """
        rows = {row["name"]: row for row in await self._definitions.select()}
        if name not in rows:
            raise NotFoundError(UNKNOWN_ATTRIBUTE)
        changes = self._job_log.ledger.attribute_changes
        event = _changed(changes.get(name), name, body, account)
        if faults := list(_faults(event, rows, list(changes.values()))):
            raise InvalidRequestError(INVALID_ATTRIBUTE, faults)
        await self._job_log.settle(event, _NOT_KNOWN)
        return rows[name]


def _changed(
    before: AttributeChanged | None, name: str, body: AttributeChange, account: str
) -> AttributeChanged:
    label = before.label if before else None
    is_retired = before.is_retired if before else False
    if not isinstance(body.label, msgspec.UnsetType):
        label = (body.label or "").strip() or None
    if not isinstance(body.is_retired, msgspec.UnsetType):
        is_retired = body.is_retired
    return AttributeChanged(
        name=name,
        label=label,
        is_retired=is_retired,
        changed_at=datetime.now(UTC),
        changed_by=account,
    )


def _faults(
    event: AttributeChanged, rows: Mapping[str, Any], changes: Sequence[AttributeChanged]
) -> Iterator[Detail]:
    if event.is_retired and rows[event.name]["is_reconciliation_key"]:
        message = "It tells users apart, so files need a column of it."
        yield Detail("KEY_NOT_RETIRED", message, column="isRetired")
    if event.label is None:
        return
    plain = plain_name(event.label)
    if not plain or len(event.label) > MAX_NAME_CHARACTERS or not event.label.isprintable():
        message = f"It is 1 to {MAX_NAME_CHARACTERS} characters that can be seen."
        yield Detail("LABEL_INVALID", message, column="label")
    others = {plain_name(name) for name in rows if name != event.name}
    others |= {plain_name(each.label or "") for each in changes if each.name != event.name}
    if plain in others | TAKEN_NAMES:
        message = f"Headers cannot tell it from another field or attribute: {event.label}."
        yield Detail("NAME_TAKEN", message, column="label")
