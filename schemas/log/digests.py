"""Keyed digests: proof that a record was appended by who holds a key of the log.

A record of `job-events`, and of `user-events` all but rows, has a header with the id of a key and
the HMAC-SHA256 of its topic, its key and its value.
Rows have none, since it would cost more than all else that is done to them: other producers send
rows, too, and those of a job count within its signed brackets alone, which say their digest.
Of several keys the first signs and all verify, so one takes the place of another without a pause.

Where digests are required is what each partition says itself: behind the first ``LogConfigured``
with a right one nothing counts without.  So a log that began without keys stays as it was read
before, and nobody without a key can move that place backwards.
A new log begins with one; to an older one `rollcall setup` appends it, once all services have the
keys: until then they sign, and take what is not signed.  Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from schemas.events import LogConfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.events import Event

    Header = tuple[str, str | bytes | None]

HEADER: Final = "rollcall-digest"
_KEY: Final = re.compile(r"(?P<id>[A-Za-z0-9_-]{1,32}):(?P<secret>[^\s:,]{32,})")
_NAMED: Final = re.compile(rb"([A-Za-z0-9_-]{1,32}):")


@dataclass(frozen=True, slots=True)
class Mark:
    """A ``LogConfigured``: whether its digest is right, None where it has none.

    ``absent_key``: the id of the key that it names, where that is not among ours.
    """

    is_right: bool | None
    absent_key: str | None


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a log by their ids; the first signs."""

    keys: Mapping[str, bytes]

    def headers(
        self, topic: str, key: bytes | None, value: bytes | None
    ) -> list[tuple[str, bytes]]:
        """Return the headers with which this record is to be appended."""
        key_id = next(iter(self.keys))
        return [(HEADER, f"{key_id}:{self._digest(key_id, topic, key, value)}".encode())]

    def is_right(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[Header]
    ) -> bool:
        """Return whether one of the headers is a digest of the record by a key of ours."""
        return any(
            self._is_digest(given, topic, key, value) for name, given in headers if name == HEADER
        )

    def _is_digest(
        self, given: str | bytes | None, topic: str, key: bytes | None, value: bytes | None
    ) -> bool:
        text = given.encode() if isinstance(given, str) else given or b""
        key_id, _, digest = text.partition(b":")
        found = key_id.decode("ascii", "replace")
        return found in self.keys and hmac.compare_digest(
            self._digest(found, topic, key, value).encode(), digest
        )

    def _digest(self, key_id: str, topic: str, key: bytes | None, value: bytes | None) -> str:
        signed = hmac.new(self.keys[key_id], digestmod=hashlib.sha256)
        for part in (topic.encode(), key, value):
            # With its length, so that no two records are one text; -1 is no part at all.
            signed.update((-1 if part is None else len(part)).to_bytes(8, "big", signed=True))
            signed.update(part or b"")
        return signed.hexdigest()


@lru_cache(maxsize=8)
def keyring_of(text: str) -> Keyring | None:
    """Return the keys that a setting names, ``id:secret`` separated by commas; None of none.

    Raises:
        ValueError: an id comes twice, or one is no such pair.
    """
    if not text:
        return None
    keys: dict[str, bytes] = {}
    for pair in text.split(","):
        found = _KEY.fullmatch(pair.strip())
        if found is None or found["id"] in keys:
            raise ValueError(
                "is not id:secret, separated by commas, each id once, each secret of 32"
                " characters or more: `openssl rand -hex 32` makes one."
            )
        keys[found["id"]] = found["secret"].encode()
    return Keyring(keys)


def keyring_fault(text: str) -> str | None:
    """Return what is wrong with such a setting, or None."""
    try:
        keyring_of(text)
    except ValueError as error:
        return str(error)
    return None


def digest_headers(
    keyring: Keyring | None, topic: str, key: bytes | None, value: bytes | None
) -> list[tuple[str, bytes]]:
    """Return the headers of a record that is to be appended; none where there is no key."""
    return [] if keyring is None else keyring.headers(topic, key, value)


class SignedRecords:
    """Which records of a partition count, read in order; all of them where there is no key.

    ``is_required``: a ``LogConfigured`` with a right digest came before.
    """

    def __init__(self, keyring: Keyring | None, topic: str, *, is_required: bool = False) -> None:
        self.is_required = is_required
        self._keyring = keyring
        self._topic = topic

    def is_right(
        self, key: bytes | None, value: bytes | None, headers: Iterable[Header]
    ) -> bool | None:
        """Return whether the next record's digest is right; None where it has none."""
        found = list(headers)
        if not any(name == HEADER for name, _ in found):
            return None
        return self._keyring is not None and self._keyring.is_right(self._topic, key, value, found)

    def absent_key(self, headers: Iterable[Header]) -> str | None:
        """Return the id of a key that a digest names, and that is not among ours."""
        for name, given in headers:
            text = given.encode() if isinstance(given, str) else given or b""
            named = _NAMED.match(text) if name == HEADER else None
            key_id = named[1].decode() if named else None
            if key_id and (self._keyring is None or key_id not in self._keyring.keys):
                return key_id
        return None

    def note(self, event: Event, *, is_right: bool | None) -> None:
        """Note a record that counts; behind it digests may be required."""
        if is_right and isinstance(event, LogConfigured):
            self.is_required = True
