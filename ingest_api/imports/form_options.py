"""The options of an upload while its form is received: those that it names, and its preset's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.uploads.options import with_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ingest_api.uploads.options import ImportOptions

    Fields = Mapping[str, Sequence[str]]
    FindPreset = Callable[[str], Awaitable[Fields]]


class FormOptions:
    """The options of one upload; a preset's count where neither head nor form has one."""

    def __init__(self, in_head: ImportOptions, find_preset: FindPreset) -> None:
        self._in_head = in_head
        self._find_preset = find_preset
        self._presets: dict[str, Fields] = {}
        self._values = 0
        self._found: ImportOptions | None = None

    async def of(self, fields: Fields) -> ImportOptions:
        """Return the options with these fields, which are asked for at each piece of the body.

        A form's fields only become more, so they are read anew where there are more values.

        Raises:
            InvalidRequestError: an option is repeated or has an unknown value, or there is no such
                preset.
        """
        values = sum(map(len, fields.values()))
        if self._found is None or values != self._values:
            self._found, self._values = await self._read(fields), values
        return self._found

    async def _read(self, fields: Fields) -> ImportOptions:
        options = with_fields(self._in_head, fields)
        name = options.preset_name
        if name is None:
            return options
        if name not in self._presets:
            self._presets[name] = await self._find_preset(name)
        return with_fields(options, self._presets[name])
