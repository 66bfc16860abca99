"""The OpenAPI operations of the routes that define and list custom attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from ingest_api.attributes.changes import UNKNOWN_ATTRIBUTE, AttributeChange
from ingest_api.attributes.definitions import AttributeBody
from ingest_api.openapi.operation import (
    JSON,
    RETRY_AFTER,
    Operation,
    answer,
    path_parameter,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import Count, Date
from ingest_api.web.dates import date_text
from schemas.events import AttributeType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.events import AttributeChanged


class AttributeAdded(msgspec.Struct, frozen=True, rename="camel"):
    """A custom attribute is known everywhere."""

    name: str
    message: str


class AttributeShown(msgspec.Struct, frozen=True, rename="camel"):
    """A custom attribute."""

    name: str
    type: AttributeType
    is_reconciliation_key: Annotated[bool, Meta(description="Whether it tells users apart.")]
    is_indexed: Annotated[bool, Meta(description="Whether users can be filtered by it fast.")]
    defined_date: Date
    defined_by: Annotated[str, Meta(description="The account that defined it.")]
    label: Annotated[
        str | None, Meta(description="Another name, by which it is shown; null where none is set.")
    ]
    is_retired: Annotated[bool, Meta(description="Whether no file may have a column of it.")]


class AttributesShown(msgspec.Struct, frozen=True, rename="camel"):
    """All custom attributes, the oldest first."""

    total: Count
    attributes: list[AttributeShown]


def attribute_shown(row: Mapping[str, Any], changed: AttributeChanged | None) -> AttributeShown:
    """Return the answer that a row of the table of attributes is, with its last change."""
    return AttributeShown(
        name=row["name"],
        type=row["type"],
        is_reconciliation_key=row["is_reconciliation_key"],
        is_indexed=row["is_indexed"],
        defined_date=date_text(row["defined_at"]),
        defined_by=row["defined_by"],
        label=changed and changed.label,
        is_retired=changed is not None and changed.is_retired,
    )


LIST_ATTRIBUTES: Final = Operation(
    summary="Custom attributes",
    tag="Attributes",
    role="reader",
    answers={200: answer("All that are defined, the oldest first.", AttributesShown)},
)
DEFINE_ATTRIBUTE: Final = Operation(
    summary="Define a custom attribute",
    act="attribute.define",
    tag="Attributes",
    role="admin",
    description=(
        "The answer comes when files and single users may use it."
        " The same definition again is answered alike. A definition stands for ever."
    ),
    body={JSON: AttributeBody},
    answers={
        200: answer("The attribute is defined.", AttributeAdded),
        400: refused(
            "The attribute can't be defined.",
            refused_detail(
                "Invalid attribute", "NAME_TAKEN", "name", "Every user has a field email already."
            ),
        ),
        409: refused(
            "Another attribute has that name.",
            "The attribute tier is already defined otherwise: type number",
        ),
        503: refused(
            "It is not known to be defined yet: send the same again.",
            "Not every partition knows the attribute yet: send the same request again",
            headers=RETRY_AFTER,
        ),
    },
)
CHANGE_ATTRIBUTE: Final = Operation(
    summary="Change how a custom attribute is shown, or retire it",
    act="attribute.change",
    tag="Attributes",
    role="admin",
    description=(
        "Its definition and its values stay. "
        "A retired attribute is no column of a file any more, and of no export that doesn't name "
        "it; its values are still shown and found, and can be changed one by one."
    ),
    parameters=(path_parameter("name", "Of the attribute.", example="tier"),),
    body={JSON: AttributeChange},
    answers={
        200: answer("The attribute as it is now.", AttributeShown),
        400: refused(
            "The attribute can't be so.",
            refused_detail(
                "Invalid attribute", "NAME_TAKEN", "label", "Headers cannot tell it: Email."
            ),
        ),
        404: refused("There is no such attribute.", UNKNOWN_ATTRIBUTE),
        503: refused(
            "It is not known to be changed: send the same again.",
            "It is not known whether the attribute is changed: send the same request again",
            headers=RETRY_AFTER,
        ),
    },
)
