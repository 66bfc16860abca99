"""The routes that write single users, and the route of a user's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.middleware import account_of
from ingest_api.errors import UnknownUserError
from ingest_api.openapi.described import Answered, described
from ingest_api.users.body import UserBody
from ingest_api.users.write_operations import (
    CREATE_USER,
    DELETE_USER,
    HISTORY,
    MODIFY_USER,
    UserWritten,
)
from ingest_api.users.writes import Sender
from ingest_api.web.idempotency_key import idempotency_key_of
from ingest_api.web.json_body import json_body
from ingest_api.web.parameters import MOST_INT64, query_number, whole_number

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.users.history import UserHistory
    from ingest_api.users.write_operations import (
        HistoryShown,
    )
    from ingest_api.users.writes import UserWrites
    from ingest_api.web.roles import Account

_MOST_ENTRIES: Final = 1000


def add_user_write_routes(api: Blueprint, writes: UserWrites) -> None:
    """Add the routes below ``/audience`` that write."""

    @api.post("/audience", stream=True)
    @described(CREATE_USER)
    async def create_user(request: Request[Any, Any]) -> Answered:
        sender = _sender(request, account_of(request))
        user_id = await writes.create(await json_body(request, UserBody), sender)
        added = _written(user_id, "Details added successfully")
        return Answered(added, {"Location": f"{request.path.rstrip('/')}/{user_id}"})

    @api.put("/audience/<user_id:str>", stream=True)
    @described(MODIFY_USER)
    async def modify_user(request: Request[Any, Any], user_id: str) -> UserWritten:
        sender = _sender(request, account_of(request))
        number = _user_id(user_id)
        await writes.modify(number, await json_body(request, UserBody), sender)
        return _written(number, "Details updated successfully")

    # A body means nothing here and is not read.
    @api.post("/audience/<user_id:str>/delete", stream=True)
    @described(DELETE_USER)
    async def delete_user(request: Request[Any, Any], user_id: str) -> UserWritten:
        sender = _sender(request, account_of(request))
        number = _user_id(user_id)
        await writes.delete(number, sender)
        return _written(number, "User deleted successfully")

    _ = create_user, modify_user, delete_user


def add_history_route(api: Blueprint, history: UserHistory) -> None:
    """Add the route of a user's history."""

    @api.get("/audience/<user_id:str>/history")
    @described(HISTORY)
    async def user_history(request: Request[Any, Any], user_id: str) -> HistoryShown:
        start = query_number(request, "start", 0, least=0, most=MOST_INT64)
        size = query_number(request, "pageSize", _MOST_ENTRIES, least=1, most=_MOST_ENTRIES)
        return await history.select_page(_user_id(user_id), start=start, page_size=size)

    _ = user_history


def _sender(request: Request[Any, Any], account: Account) -> Sender:
    return Sender(account.name, idempotency_key_of(request))


def _user_id(text: str) -> int:
    number = whole_number(text)
    if number is None:
        raise UnknownUserError
    return number


def _written(user_id: int, message: str) -> UserWritten:
    return UserWritten(str(user_id), message)
