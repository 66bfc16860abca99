"""The keys of the audience, read while a file comes."""

from __future__ import annotations

import asyncio

import numpy as np

from ingest_api.dry_runs.audience_keys import AudienceKeys, AudienceKeysAhead
from ingest_api.errors import StoreUnavailableError

_HASHES = np.array([7, 3], np.uint64)


class Reading:
    """Reads when it may; notes how often it began and whether it was given up."""

    def __init__(self, found: AudienceKeys | Exception | None) -> None:
        self.may_end = asyncio.Event()
        self.begun = 0
        self.is_given_up = False
        self._found = found

    async def read(self) -> AudienceKeys | None:
        """What it was made with."""
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.is_given_up = True
            raise
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def test_they_are_read_once_while_the_file_comes() -> None:
    """From the first call on, however often the file's form says more."""

    async def receive() -> None:
        reading = Reading(AudienceKeys(5, _HASHES))
        ahead = AudienceKeysAhead(reading.read)
        ahead.begin()
        ahead.begin()
        await asyncio.sleep(0)
        assert reading.begun == 1
        reading.may_end.set()
        assert await ahead.hashes_after(5) is _HASHES
        ahead.close()

    asyncio.run(receive())


def test_they_do_not_count_where_a_job_came_since() -> None:
    """Nor where jobs ran then, Postgres did not answer, or nothing was read: they are read anew."""

    async def found(reading: Reading) -> object:
        reading.may_end.set()
        ahead = AudienceKeysAhead(reading.read)
        ahead.begin()
        return await ahead.hashes_after(6)

    async def receive() -> None:
        assert await found(Reading(AudienceKeys(6, _HASHES))) is _HASHES
        for outdated in (AudienceKeys(5, _HASHES), None, StoreUnavailableError("gone")):
            assert await found(Reading(outdated)) is None
        assert await AudienceKeysAhead(Reading(None).read).hashes_after(0) is None

    asyncio.run(receive())


def test_an_upload_that_ends_early_gives_them_up() -> None:
    """Whatever Postgres was doing for it."""

    async def receive() -> None:
        reading = Reading(None)
        ahead = AudienceKeysAhead(reading.read)
        ahead.close()
        ahead.begin()
        await asyncio.sleep(0)
        ahead.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reading.is_given_up

    asyncio.run(receive())
