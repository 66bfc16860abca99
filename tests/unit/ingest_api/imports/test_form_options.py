"""The options of an upload while its form comes."""

from __future__ import annotations

import asyncio

from ingest_api.imports.form_options import FormOptions
from ingest_api.uploads.options import ImportOptions


def test_fields_are_read_again_only_where_more_have_come() -> None:
    """They may be long, and are asked for at each piece of the body."""
    asked: list[str] = []

    async def find_preset(name: str) -> dict[str, list[str]]:
        asked.append(name)
        return {"blankCells": ["clear"]}

    async def run() -> None:
        options = FormOptions(ImportOptions(), find_preset)
        fields = {"preset": ["crm"], "columns": ["Mail=Email"]}
        first = await options.of(fields)
        assert first.blank_cells == "clear"
        assert await options.of(fields) is first
        fields["columns"].append("Given=First Name")
        columns = (await options.of(fields)).columns
        assert columns is not None
        assert [each.header for each in columns] == ["Given", "Mail"]

    asyncio.run(run())
    assert asked == ["crm"]
