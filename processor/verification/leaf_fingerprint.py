"""Fingerprints of a leaf's rows, made alike by Postgres and from the fold.

It is the sum of the rows' hashes, so their order does not matter.
Custom attributes are not in it: they are compared user by user.

Where the numbers are the same, no row has to travel; where they are not,
:mod:`processor.verification.leaf_comparison` finds the rows that differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from processor.verification.user_columns import NONE
from schemas.read_model import epoch
from schemas.read_model.column_hashes import NULL, bigint_hashes, integer_hashes, record_hashes
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from processor.verification.user_columns import UserColumns

    Hashes = npt.NDArray[np.uint64]

_HASHED: Final = ("key", "event_id")
_TIMES: Final = ("created_at", "modified_at")
COLUMNS: Final = (
    "id", *_HASHED, *_TIMES, "job_id", "modified_position", "record_number",
    *(field.name for field in FIELDS),
)  # fmt: skip
"""In the order in which they are hashed."""
_USERS_AT_ONCE: Final = 16_384
_WRAP: Final = (1 << 64) - 1


class LeafFingerprint(NamedTuple):
    """The number of rows, and the sum of their hashes, modulo 2**64."""

    rows: int
    total: int


def fingerprint(users: UserColumns) -> LeafFingerprint:
    """Return the fingerprint of the users that the fold has."""
    slots = np.flatnonzero(users.alive[: users.size])
    total = 0
    # Few at a time: what is computed with then stays in the processor's cache.
    for begin in range(0, len(slots), _USERS_AT_ONCE):
        some = slots[begin : begin + _USERS_AT_ONCE]
        total += int(record_hashes(_columns(users, some)).sum())
    return LeafFingerprint(len(slots), total & _WRAP)


def _columns(users: UserColumns, slots: npt.NDArray[np.int64]) -> Iterator[Hashes]:
    """Return the hashes of :data:`COLUMNS`."""
    plain = users.plain
    yield bigint_hashes(plain["id"][slots])
    for name in _HASHED:
        yield plain[name][slots]
    for name in _TIMES:
        yield bigint_hashes(plain[name][slots] - epoch.MICROSECONDS)
    for name in ("job_id", "modified_position"):
        numbers = plain[name][slots]
        yield _without_none(bigint_hashes(numbers), numbers)
    numbers = plain["record_number"][slots]
    yield _without_none(integer_hashes(numbers), numbers)
    yield from users.values[slots].T


def _without_none(found: Hashes, numbers: npt.NDArray[np.int64]) -> Hashes:
    found[numbers == NONE] = NULL
    return found
