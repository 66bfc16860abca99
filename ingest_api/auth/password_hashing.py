"""Argon2id in a bounded pool: 19 MiB, two passes, one lane, which is OWASP's first choice.

Hashing is meant to be slow, so whoever logs in waits for a turn; how many wait
is bounded, and one address has half of the places at most.
Its threads give way to the one that answers requests, so a flood of logins slows nobody else.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ingest_api.errors import LimitReachedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_T = TypeVar("_T")
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS: Final = 2
_MOST_WAITING: Final = 128
"""At two times 20 to 40 a second, the last of them waits two or three seconds."""
_NICENESS: Final = 10
_GENERATED_BYTES: Final = 18


class PasswordHashing:
    """Hashes and checks passwords in threads of its own; used from one event loop."""

    def __init__(self, most_waiting: int = _MOST_WAITING) -> None:
        self._threads = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="argon2", initializer=_give_way
        )
        self._most_waiting = most_waiting
        self._waiting: Counter[str] = Counter()
        self.dummy_hash: Final = _hash_of_no_password()
        """A name without an account costs the same work by it."""

    async def is_right(self, hashed: str, password: str, address: str) -> bool:
        """Return whether the hash is the password's; ``address`` is the client's.

        Raises:
            UnavailableError: too many wait.
            LimitReachedError: too many of this address do.
        """
        with self._place(address):
            return await self._in_thread(_is_right, hashed, password)

    async def hash(self, password: str) -> str:
        """Return a new hash of the password."""
        return await self._in_thread(hash_password, password)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., _T], *arguments: str) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    @contextlib.contextmanager
    def _place(self, address: str) -> Generator[None]:
        if self._waiting[address] >= self._most_waiting // 2:
            raise LimitReachedError(
                "Too many logins from this address are under way, try again later",
            )
        if self._waiting.total() >= self._most_waiting:
            raise UnavailableError("Too many logins are under way, try again later")
        self._waiting[address] += 1
        try:
            yield
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # drops addresses that have none left


def _give_way() -> None:
    """Lower the priority of this thread alone, which Linux does by the thread's id."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def hash_password(password: str) -> str:
    """Return a new hash of the password; it takes some hundredths of a second."""
    return _HASHER.hash(password)


def _hash_of_no_password() -> str:
    """Return what looks like a hash and is random: to check it takes as long as a real one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (_HASHER.salt_len, _HASHER.hash_len)
    )
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


def _is_right(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def generated_password() -> str:
    """Return a random password of 144 bits."""
    return secrets.token_urlsafe(_GENERATED_BYTES)
