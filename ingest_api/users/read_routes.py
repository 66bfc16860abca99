"""The routes that read users, as they are now or were at another time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.auth.middleware import account_of
from ingest_api.errors import UnknownUserError
from ingest_api.openapi.described import described
from ingest_api.users.filters import read_filter
from ingest_api.users.read_operations import ONE_USER, USERS
from ingest_api.web.paging import keyed_page_of
from ingest_api.web.parameters import query_values, whole_number

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.openapi.response_types import User, Users
    from ingest_api.users.queries import UserReader


def add_user_routes(api: Blueprint, users: UserReader, points: AsOfParameters) -> None:
    """Add the routes below ``/audience`` that read."""

    @api.get("/audience")
    @described(USERS)
    async def list_users(request: Request[Any, Any]) -> Users:
        account = account_of(request, "reader").name
        page, user_filter = keyed_page_of(request), read_filter(query_values(request))
        return await points.read(
            request, account, lambda schema: users.select_page(user_filter, page, schema)
        )

    @api.get("/audience/<user_id:str>")
    @described(ONE_USER)
    async def one_user(request: Request[Any, Any], user_id: str) -> User:
        account = account_of(request, "reader").name
        number = whole_number(user_id)
        user = await points.read(request, account, lambda schema: _user(users, number, schema))
        if user is None:
            raise UnknownUserError
        return user

    _ = list_users, one_user


async def _user(users: UserReader, number: int | None, schema: str) -> User | None:
    return await users.fetch(number, schema) if number else None
