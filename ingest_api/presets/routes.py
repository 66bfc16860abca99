"""The routes below ``/audience/presets``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingest_api.auth.middleware import account_of
from ingest_api.openapi.described import described
from ingest_api.presets.operations import (
    DELETE_PRESET,
    LIST_PRESETS,
    PUT_PRESET,
    SHOW_PRESET,
    PresetBody,
    PresetDeleted,
    PresetsShown,
    preset_shown,
)
from ingest_api.web.json_body import json_body

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.presets.operations import (
        PresetShown,
    )
    from ingest_api.presets.presets import Presets


def add_preset_routes(api: Blueprint, presets: Presets) -> None:
    """Add the routes."""

    @api.get("/audience/presets")
    @described(LIST_PRESETS)
    async def list_presets(_request: Request[Any, Any]) -> PresetsShown:
        found = [preset_shown(each) for each in await presets.all()]
        return PresetsShown(len(found), found)

    @api.get("/audience/presets/<name>")
    @described(SHOW_PRESET)
    async def show_preset(_request: Request[Any, Any], name: str) -> PresetShown:
        return preset_shown(await presets.one(unquote(name)))

    @api.put("/audience/presets/<name>", stream=True)
    @described(PUT_PRESET)
    async def put_preset(request: Request[Any, Any], name: str) -> PresetShown:
        account = account_of(request)
        body = await json_body(request, PresetBody)
        options = {
            option: [value] if isinstance(value, str) else value
            for option, value in body.options.items()
        }
        return preset_shown(await presets.define(unquote(name), options, account.name))

    @api.post("/audience/presets/<name>/delete", stream=True)
    @described(DELETE_PRESET)
    async def delete_preset(request: Request[Any, Any], name: str) -> PresetDeleted:
        account = account_of(request)
        await presets.delete(unquote(name), account.name)
        return PresetDeleted(unquote(name), "Preset deleted successfully")

    _ = list_presets, show_preset, put_preset, delete_preset
