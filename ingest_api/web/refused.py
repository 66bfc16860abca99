"""Refusals by rules of HTTP itself, and the type of the body of every refusal.

A refusal that the domain decides on is an error of :mod:`ingest_api.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping

UNAUTHORIZED: Final = "Unauthorized request"
SERVER_FAILURE: Final = "Server failure to process request"


@dataclass(eq=False, slots=True)
class Refused(Exception):  # noqa: N818 - an answer, not an error of the service
    """Ends a request by a rule of HTTP itself, such as 401, 406, 413 and 415."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RefusalDetail(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that is wrong with a request."""

    line: Annotated[
        int | None,
        Meta(description="Of the uploaded file, the first is 1; null where it is no line's fault."),
    ]
    column: Annotated[
        str | int | None,
        Meta(description="Of the uploaded file, or the name of the parameter or field at fault."),
    ]
    code: str
    message: str


class Refusal(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a request was not answered as asked; nothing of it was kept, unless it says so."""

    message: str
    details: list[RefusalDetail] | UnsetType = UNSET
    request_id: Annotated[
        str | UnsetType, Meta(description="By which the server's log calls the request.")
    ] = UNSET
    id: Annotated[
        str | UnsetType,
        Meta(description="Of the job of which it is not known whether it was taken."),
    ] = UNSET
    event_id: Annotated[
        str | UnsetType,
        Meta(description="Of the write of which it is not known whether or when it is applied."),
    ] = UNSET
