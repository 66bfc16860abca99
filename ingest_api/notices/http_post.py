"""Posts a notice to a webhook, signed as Standard Webhooks has it.

No redirect is followed, of the answer a little is read, and all of it ends after a time.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import httpcore2

from ingest_api.notices.addresses import NoPublicAddressError, checked_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest_api.notices.events import Notice

PREFIX: Final = "whsec_"
_WITHIN_S: Final = 15.0
_MOST_ANSWER_BYTES: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try; ``status`` is None where there was no answer of HTTP."""

    is_taken: bool
    status: int | None
    text: str
    is_gone: bool = False


def signature(secret: str, notice: Notice, timestamp_s: int) -> str:
    """Return the header ``webhook-signature`` of a notice that is sent at this time."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{notice.id}.{timestamp_s}.{notice.body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


async def post(url: str, secret: str, notice: Notice, *, allows_private: bool) -> Answer:
    """Post the notice once; whatever goes wrong is an answer, too."""
    now_s = int(time.time())
    headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", "Rollcall-Webhooks"),
        ("webhook-id", notice.id),
        ("webhook-timestamp", str(now_s)),
        ("webhook-signature", signature(secret, notice, now_s)),
    ]
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await _post(url, headers, notice.body.encode(), allows_private=allows_private)
    except TimeoutError:
        return Answer(is_taken=False, status=None, text=f"no answer within {_WITHIN_S:.0f} s")
    except (NoPublicAddressError, OSError, httpcore2.NetworkError) as error:
        return Answer(is_taken=False, status=None, text=str(error) or type(error).__name__)
    except (httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
        return Answer(is_taken=False, status=None, text=f"{type(error).__name__}: {error}")


async def _post(
    url: str, headers: Sequence[tuple[str, str]], body: bytes, *, allows_private: bool
) -> Answer:
    parts = urlsplit(url)
    assert parts.hostname is not None, "a webhook has been checked when it was made"
    port = parts.port or _PORTS[parts.scheme]
    address = await checked_address(parts.hostname, port, allows_private=allows_private)
    async with (
        httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=_To(address)
        ) as pool,
        pool.stream("POST", url, headers=headers, content=body) as response,
    ):
        said = b""
        async for piece in response.aiter_stream():
            said += piece
            if len(said) >= _MOST_ANSWER_BYTES:
                break
        status = response.status
    text = said[:_MOST_ANSWER_BYTES].decode(errors="replace").replace("\0", "�")
    return Answer(200 <= status < 300, status, text, is_gone=status == 410)  # noqa: PLR2004 - HTTP


class _To(httpcore2.AsyncNetworkBackend):
    """Connects to one address, whatever the host is called; TLS still asks for its name."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - httpcore's signature
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return await self._network.connect_tcp(
            self._address, port, timeout, local_address, socket_options
        )
