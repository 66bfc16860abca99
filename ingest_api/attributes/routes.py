"""The routes below ``/admin/attributes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingest_api.attributes.changes import AttributeChange, AttributeChanges
from ingest_api.attributes.definitions import AttributeBody
from ingest_api.attributes.operations import (
    CHANGE_ATTRIBUTE,
    DEFINE_ATTRIBUTE,
    LIST_ATTRIBUTES,
    AttributeAdded,
    AttributesShown,
    attribute_shown,
)
from ingest_api.auth.middleware import account_of
from ingest_api.openapi.described import described
from ingest_api.web.json_body import json_body
from ingest_api.web.request_context import note_act

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import Blueprint, Request

    from ingest_api.attributes.definitions import AttributeDefinitions
    from ingest_api.attributes.operations import (
        AttributeShown,
    )
    from ingest_api.event_log.job_events import JobLog


def add_attribute_routes(api: Blueprint, attributes: AttributeDefinitions, job_log: JobLog) -> None:
    """Add the routes that list, define and change custom attributes."""
    changes = AttributeChanges(attributes, job_log)

    def shown(row: Mapping[str, Any]) -> AttributeShown:
        return attribute_shown(row, job_log.ledger.attribute_changes.get(row["name"]))

    @api.get("/admin/attributes")
    @described(LIST_ATTRIBUTES)
    async def list_attributes(_request: Request[Any, Any]) -> AttributesShown:
        rows = await attributes.select()
        return AttributesShown(len(rows), list(map(shown, rows)))

    @api.post("/admin/attributes", stream=True)
    @described(DEFINE_ATTRIBUTE)
    async def define_attribute(request: Request[Any, Any]) -> AttributeAdded:
        account = account_of(request)
        body = await json_body(request, AttributeBody)
        note_act(request, body.name, type=body.type)
        await attributes.define(body, account.name)
        return AttributeAdded(body.name, "Attribute added successfully")

    @api.put("/admin/attributes/<name>", stream=True)
    @described(CHANGE_ATTRIBUTE)
    async def change_attribute(request: Request[Any, Any], name: str) -> AttributeShown:
        account = account_of(request)
        body = await json_body(request, AttributeChange)
        return shown(await changes.change(unquote(name), body, account.name))

    _ = list_attributes, define_attribute, change_attribute
