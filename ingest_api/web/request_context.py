"""The context of a request while it is answered; the access log is written from it."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sanic import Request

_KEY: Final = "rollcall.request"


@dataclass(slots=True)
class RequestContext:
    """What is known of one request while it is answered; the access log is written from it.

    ``is_cut_off``: the answer was begun and can't be finished, so nothing more of it is sent,
    the server breaks the connection, and no client takes a part for the whole.
    ``act_id`` is its number in the audit log, and what follows is told there with its result.
    ``at_end`` is closed once the request has been answered.
    """

    request_id: str
    has_body: bool
    account: str | None = None
    job_id: int | None = None
    route: str | None = None
    status: int | None = None
    received_bytes: int = 0
    is_body_ended: bool = False
    is_client_gone: bool = False
    is_cut_off: bool = False
    act_id: int | None = None
    act_target: str | None = None
    act_details: dict[str, str] = field(default_factory=dict[str, str])
    started_at_s: float = field(default_factory=time.monotonic)
    at_end: AsyncExitStack = field(default_factory=AsyncExitStack)


def context_of(request: Request[Any, Any]) -> RequestContext:
    """Return the context of this request."""
    return cast("RequestContext", request.scope["state"][_KEY])


def attach(scope: MutableMapping[str, Any], context: RequestContext) -> None:
    """Store the context in the ASGI scope, where :func:`context_of` finds it."""
    scope.setdefault("state", {})[_KEY] = context


def note_act(request: Request[Any, Any], target: str | None = None, **details: object) -> None:
    """Have the audit log tell what the request's act is about; None is left out."""
    context = context_of(request)
    context.act_target = target or context.act_target
    context.act_details |= {
        name: str(value) for name, value in details.items() if value is not None
    }
