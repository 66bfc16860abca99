"""The routes that read users, as they are now or were at another time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.auth.middleware import account_of
from ingest_api.errors import UnknownUserError, invalid_parameter
from ingest_api.jobs.job_parameter import job_named
from ingest_api.openapi.described import Answered, described
from ingest_api.users.filters import read_filter
from ingest_api.users.read_operations import ONE_USER, USERS
from ingest_api.web.paging import keyed_page_of, next_link
from ingest_api.web.parameters import query_values, whole_number

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.openapi.response_types import User, Users
    from ingest_api.users.filters import UserFilter
    from ingest_api.users.queries import UserReader


def add_user_routes(
    api: Blueprint, users: UserReader, points: AsOfParameters, job_log: JobLog
) -> None:
    """Add the routes below ``/audience`` that read."""

    @api.get("/audience")
    @described(USERS)
    async def list_users(request: Request[Any, Any]) -> Users | Answered:
        account = account_of(request).name
        page = keyed_page_of(request)
        user_filter = await filter_of(request, job_log)
        found = await points.read(
            request, account, lambda schema: users.select_page(user_filter, page, schema)
        )
        # From user to user a page costs the same at any depth.
        if page.start or len(found.audience) < page.size:
            return found
        return Answered(found, {"Link": next_link(request, after=found.audience[-1].id)})

    @api.get("/audience/<user_id:str>")
    @described(ONE_USER)
    async def one_user(request: Request[Any, Any], user_id: str) -> User:
        account = account_of(request).name
        number = whole_number(user_id)
        user = await points.read(request, account, lambda schema: _user(users, number, schema))
        if user is None:
            raise UnknownUserError
        return user

    _ = list_users, one_user


async def filter_of(request: Request[Any, Any], job_log: JobLog) -> UserFilter:
    """Return the filter that the query asks for.

    Raises:
        InvalidRequestError: a value can't be one of its field, or there is no such job.
    """
    return read_filter(query_values(request), await _job(request, job_log))


async def _job(request: Request[Any, Any], job_log: JobLog) -> int | None:
    """Return the id of the job that the query names, if it does.

    Raises:
        InvalidRequestError: there is no such job, or the query names several.
    """
    values = query_values(request).get("job", [])
    if len(values) > 1:
        raise invalid_parameter("job", f"job is given {len(values)} times.")
    return (await job_named(request, job_log, values[0])).accepted.job_id if values else None


async def _user(users: UserReader, number: int | None, schema: str) -> User | None:
    return await users.fetch(number, schema) if number else None
