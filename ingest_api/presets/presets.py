"""Defines, lists and finds presets: events of `job-events`, of one name the last counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ingest_api.errors import (
    Detail,
    InvalidRequestError,
    NotFoundError,
)
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.uploads.options import ImportOptions, with_fields
from schemas.events import PresetDefined
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ingest_api.event_log.job_events import JobLog

    Options = dict[str, list[str]]

INVALID_PRESET: Final = "Invalid preset"
UNKNOWN_PRESET: Final = "There is no preset of this name"
MAX_PRESETS: Final = 200
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"
_NOT_KNOWN: Final = "It is not known whether the preset is kept: send the same request again"


class Presets:
    """The presets of an installation, as one API process knows them; ``option_names`` are taken."""

    def __init__(self, job_log: JobLog, option_names: Collection[str]) -> None:
        self._job_log = job_log
        self._option_names = option_names

    async def all(self) -> list[PresetDefined]:
        """Return all presets, by name.

        Raises:
            LogUnavailableError: Kafka doesn't answer.
        """
        await self._job_log.catch_up()
        presets = self._job_log.ledger.presets
        return [presets[name] for name in sorted(presets)]

    async def one(self, name: str) -> PresetDefined:
        """Return the preset of this name.

        Raises:
            NotFoundError: there is none.
            LogUnavailableError: Kafka doesn't answer.
        """
        found = next((each for each in await self.all() if each.name == name), None)
        if found is None:
            raise NotFoundError(UNKNOWN_PRESET)
        return found

    async def options(self, name: str) -> Mapping[str, list[str]]:
        """Return the options of the preset that an upload names.

        Raises:
            InvalidRequestError: there is none.
            LogUnavailableError: Kafka doesn't answer.
        """
        presets = {each.name: each for each in await self.all()}
        if name not in presets:
            meant = question(nearest(name, presets)) or "."
            raise invalid_option("preset", f"There is no preset {name[:64]}{meant}")
        return presets[name].options or {}

    async def define(self, name: str, options: Options, account: str) -> PresetDefined:
        """Keep the preset, in place of any that has its name.

        Raises:
            InvalidRequestError: it may not be kept.
            UnavailableError: it isn't known to be kept.
        """
        faults = list(self._faults(name, options))
        is_new = name not in {each.name for each in await self.all()}
        if is_new and len(self._job_log.ledger.presets) >= MAX_PRESETS:
            faults.append(Detail("TOO_MANY_PRESETS", f"There are {MAX_PRESETS} presets already."))
        if faults:
            raise InvalidRequestError(INVALID_PRESET, faults)
        return await self._append(name, options, account)

    async def delete(self, name: str, account: str) -> None:
        """Free the name.

        Raises:
            NotFoundError: there is no such preset.
            UnavailableError: it isn't known to be free.
        """
        await self.one(name)
        await self._append(name, None, account)

    async def _append(self, name: str, options: Options | None, account: str) -> PresetDefined:
        event = PresetDefined(
            name=name, options=options, defined_at=datetime.now(UTC), defined_by=account
        )
        await self._job_log.settle(event, _NOT_KNOWN)
        return event

    def _faults(self, name: str, options: Options) -> Iterator[Detail]:
        if not re.fullmatch(NAME_PATTERN, name):
            message = "It is 1 to 64 ASCII letters, digits, spaces, dots, _ and -."
            yield Detail("NAME_INVALID", message, column="name")
        unknown = [each for each in options if each not in self._option_names]
        for each in unknown:
            meant = question(nearest(each, self._option_names)) or "."
            message = f"There is no option {each[:64]} that a preset holds{meant}"
            yield Detail("UNKNOWN_OPTION", message, column=each[:64])
        try:
            with_fields(ImportOptions(), options)
        except InvalidRequestError as error:
            yield from error.details
