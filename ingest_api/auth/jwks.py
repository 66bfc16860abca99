"""The public keys of the configured issuer: its JWKS (RFC 7517), fetched and kept.

The keys are fetched at the start and every five minutes, and once more where a
JWT names a key that isn't among them, but never twice within ten seconds: a
flood of invented key ids doesn't reach the issuer.
While the issuer doesn't answer, the keys from before go on being used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httpx2
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from ingest_api.errors import IssuerUnavailableError
from schemas.runtime.abandoned import shared_task
from schemas.runtime.essential import essential_task

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyId = str | None
Keys = dict[tuple[KeyId, str], PyJWK]
"""By key id (None: of whichever key it is) and algorithm."""

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
"""What a key may verify, by its type and curve: nothing symmetric, so a public key is no secret."""
ALGORITHMS: Final = frozenset(name for names in _ALGORITHMS.values() for name in names)
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")

_PERIOD_S: Final = 300.0
_LEAST_PAUSE_S: Final = 10.0
_FETCH_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1024 * 1024
_log = structlog.stdlib.get_logger("rollcall.api")


class KeySetError(ValueError):
    """What the issuer shows is no set of keys."""


def read_key_set(body: bytes) -> Keys:
    """Parse the keys that may verify a signature; skip others, and what is not understood.

    Raises:
        KeySetError: the body is no JWKS, or has no such key.
    """
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise KeySetError("the body is no JSON") from None
    listed = cast("dict[str, Any]", parsed).get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("the body is no JWKS")
    entries = cast("list[object]", listed)
    jwks = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    found = [(jwk, name) for jwk in jwks for name in _algorithms_of(jwk)]
    keys: Keys = {}
    for jwk, name in found:
        with contextlib.suppress(PyJWTError, ValueError, TypeError):
            keys.setdefault((_key_id(jwk), name), _public_key(jwk, name))
    if not keys:
        raise KeySetError("the JWKS has no key that can verify a signature")
    return keys


def find_key(keys: Keys, key_id: KeyId, algorithm: str) -> PyJWK | None:
    """Return the key with this id and algorithm; without an id, the only one there is."""
    if key_id is not None:
        return keys.get((key_id, algorithm))
    of_algorithm = [key for (_, name), key in keys.items() if name == algorithm]
    return of_algorithm[0] if len(of_algorithm) == 1 else None


def _algorithms_of(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    curve = jwk.get("crv")
    kind = (jwk.get("kty"), curve if isinstance(curve, str) else None)
    names = _ALGORITHMS.get(cast("tuple[str, str | None]", kind), ()) if _is_text(kind[0]) else ()
    operations = jwk.get("key_ops", ["verify"])
    is_for_others = jwk.get("use", "sig") != "sig" or "verify" not in operations
    if is_for_others:
        return ()
    return tuple(name for name in names if jwk.get("alg", name) == name)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _key_id(jwk: Mapping[str, Any]) -> KeyId:
    key_id = jwk.get("kid")
    return key_id if isinstance(key_id, str) else None


def _public_key(jwk: Mapping[str, Any], algorithm: str) -> PyJWK:
    return PyJWK({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}, algorithm)


class KeySet:
    """The issuer's keys; used from one event loop, and never blocks it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Keys = {}
        self._begun_at_s = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._is_fetched = False
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Fetch the keys, and keep them fresh from now on; return at once."""
        self._keeping = essential_task(self._keep_fresh(), "issuer-keys")

    async def stop(self) -> None:
        """Stop fetching keys."""
        tasks = [task for task in (self._keeping, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def key(self, key_id: KeyId, algorithm: str) -> PyJWK | None:
        """Return the key with this id and algorithm, or None where the issuer has none.

        Raises:
            IssuerUnavailableError: the issuer, asked for a key that isn't known, didn't answer.
        """
        found = find_key(self._keys, key_id, algorithm)
        if found is not None:
            return found
        await self._ask_again()
        found = find_key(self._keys, key_id, algorithm)
        if found is None and not self._is_fetched:
            raise IssuerUnavailableError
        return found

    async def _ask_again(self) -> None:
        if self._fetching is None and time.monotonic() - self._begun_at_s < _LEAST_PAUSE_S:
            return
        # Whoever waits may go away; the fetch is for all.
        await asyncio.shield(self._begin_fetch())

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.shield(self._begin_fetch())
            await asyncio.sleep(_PERIOD_S if self._is_fetched else _LEAST_PAUSE_S)

    def _begin_fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._begun_at_s = time.monotonic()
            self._fetching = shared_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_TIMEOUT_S):
                body = await _body_of(self._url)
            self._keys = await asyncio.to_thread(read_key_set, body)
            self._is_fetched = True
        except (httpx2.HTTPError, OSError, KeySetError) as error:  # a time-out is an OSError
            self._is_fetched = False
            reason = str(error) or type(error).__name__
            _log.warning("the issuer's keys can't be fetched", url=self._url, error=reason)
        finally:
            self._fetching = None


async def _body_of(url: str) -> bytes:
    """Return the body at the URL; redirects are not followed.

    Raises:
        httpx2.HTTPError: it doesn't answer, or with another status than 200.
        KeySetError: it answers with more than a set of keys needs.
    """
    async with (
        await asyncio.to_thread(httpx2.AsyncClient, timeout=_FETCH_TIMEOUT_S) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status_code != HTTPStatus.OK:
            raise KeySetError(f"the answer has the status {answer.status_code}")
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise KeySetError(f"the answer is larger than {_MOST_BYTES} bytes")
        return bytes(body)
