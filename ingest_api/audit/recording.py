"""Records each request whose operation is an act: before it is done, and with its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog

from ingest_api.audit.audit_log import Act
from ingest_api.auth.middleware import account_of
from ingest_api.errors import StoreUnavailableError
from ingest_api.web.client_address import client_address
from ingest_api.web.parameters import query_values
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from sanic import Request
    from sanic.response import BaseHTTPResponse

    from ingest_api.audit.audit_log import AuditLog
    from ingest_api.openapi.operation import Operation

_log = structlog.stdlib.get_logger("rollcall.api")


class Recording:
    """Puts requests into the audit log; their operation says of what kind they are."""

    def __init__(self, audit: AuditLog, forwarded_secret: str) -> None:
        self._audit = audit
        self._forwarded_secret = forwarded_secret

    async def begin(self, request: Request[Any, Any], operation: Operation) -> None:
        """Record what the request is about to do, if it is an act and no dry run.

        Raises:
            StoreUnavailableError: it can't be recorded, so it may not be done.
        """
        is_dry_run = query_values(request).get("dryRun") == ["true"]
        if operation.act is None or is_dry_run:
            return
        account, context = account_of(request), context_of(request)
        named = [unquote(str(value)) for value in request.match_info.values()]
        act = Act(
            account=account.name,
            role=account.role,
            kind=operation.act,
            target=" ".join(named) or None,
            address=client_address(request, self._forwarded_secret),
            request_id=context.request_id,
        )
        context.act_id = await self._audit.begin(act)

    async def end(self, request: Request[Any, Any], response: BaseHTTPResponse) -> None:
        """Record what was answered; where that can't be done the act's result stays unknown."""
        context = context_of(request)
        if context.act_id is None:
            return
        act_id, context.act_id = context.act_id, None
        try:
            await self._audit.end(act_id, response.status, context.act_target, context.act_details)
        except StoreUnavailableError:
            _log.exception("the result of an act is not recorded", act_id=str(act_id))
