"""Files that anybody may be served: with an ETag, and under a policy that lets nothing else in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sanic.response import HTTPResponse

from ingest_api.web.parameters import header_values

if TYPE_CHECKING:
    from sanic import Request

_SAFE_HEADERS: Final = {
    # Swagger UI's pictures are data: URLs in its stylesheet; nothing else comes from outside.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file as it is sent."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """The entity tag of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    def answer(self, request: Request[Any, Any]) -> HTTPResponse:
        """Return the file, or 304 where the client has it."""
        headers = {**_SAFE_HEADERS, "ETag": self.etag, "Cache-Control": "no-cache"}
        known = {
            tag.strip().removeprefix("W/")
            for value in header_values(request, "if-none-match")
            for tag in value.split(",")
        }
        if known & {self.etag, "*"}:
            return HTTPResponse(status=304, headers=headers)
        return HTTPResponse(self.content, headers=headers, content_type=self.media_type)
