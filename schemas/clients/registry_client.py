"""HTTP client of the schema registry; :mod:`schemas.codec.registry_protocol` has the requests."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

import httpx2

from schemas.codec.registry_protocol import (
    CONTENT_TYPE,
    MAX_ANSWER_BYTES,
    TIMEOUT_S,
    Answer,
    RegistryUnreachableError,
)

if TYPE_CHECKING:
    from schemas.codec.registry_protocol import Exchange, Question
    from schemas.config.registry import SchemaRegistry


class RegistryClient:
    """A client of one registry; used by one thread at a time."""

    def __init__(self, registry: SchemaRegistry) -> None:
        user, _, password = (registry.user_info or "").partition(":")
        self._url = registry.url
        self._client = httpx2.Client(
            auth=(user, password) if registry.user_info else None,
            headers={"Authorization": f"Bearer {registry.token}"} if registry.token else None,
            verify=_tls_of(registry),
            timeout=TIMEOUT_S,
        )

    def run(self, exchange: Exchange) -> None:
        """Send the requests of the exchange, and give it the answers, until it ends.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RegistryRefusedError: it will not have one of our schemas.
        """
        with contextlib.suppress(StopIteration):
            question = next(exchange)
            while True:
                question = exchange.send(self._ask(question))

    def _ask(self, question: Question) -> Answer:
        method = "GET" if question.body is None else "POST"
        headers = {"Content-Type": CONTENT_TYPE} if question.body else {}
        url = self._url + question.path
        body = b""
        try:
            with self._client.stream(
                method, url, content=question.body, headers=headers
            ) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise RegistryUnreachableError(f"{question.path}: its answer has no end")
                return Answer(response.status_code, body)
        except httpx2.HTTPError as error:
            raise RegistryUnreachableError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _tls_of(registry: SchemaRegistry) -> ssl.SSLContext | bool:
    if not registry.ca_location and not registry.certificate_location:
        return registry.url.startswith("https")
    context = ssl.create_default_context(cafile=registry.ca_location)
    if registry.certificate_location:
        context.load_cert_chain(registry.certificate_location, registry.key_location)
    return context
