"""The routes below ``/admin/attributes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.attributes.definitions import AttributeBody
from ingest_api.attributes.operations import (
    DEFINE_ATTRIBUTE,
    LIST_ATTRIBUTES,
    AttributeAdded,
    AttributesShown,
    attribute_shown,
)
from ingest_api.auth.middleware import account_of
from ingest_api.openapi.described import described
from ingest_api.web.json_body import json_body

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.attributes.definitions import AttributeDefinitions


def add_attribute_routes(api: Blueprint, attributes: AttributeDefinitions) -> None:
    """Add the routes that list and define custom attributes."""

    @api.get("/admin/attributes")
    @described(LIST_ATTRIBUTES)
    async def list_attributes(_request: Request[Any, Any]) -> AttributesShown:
        rows = await attributes.select()
        return AttributesShown(len(rows), [attribute_shown(row) for row in rows])

    @api.post("/admin/attributes", stream=True)
    @described(DEFINE_ATTRIBUTE)
    async def define_attribute(request: Request[Any, Any]) -> AttributeAdded:
        account = account_of(request)
        body = await json_body(request, AttributeBody)
        await attributes.define(body, account.name)
        return AttributeAdded(body.name, "Attribute added successfully")

    _ = list_attributes, define_attribute
