"""The routes that read users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.gateway import account_of
from ingest_api.operations import Answer, Operation, Parameter, described
from ingest_api.paging import PAGE_PARAMETERS, after_parameter, keyed_page_of
from ingest_api.request_head import query_values, whole_number
from ingest_api.responses import UNKNOWN_USER, Refused, json_answer
from ingest_api.user_filters import read_filter
from ingest_api.user_reads import User, UserList

if TYPE_CHECKING:
    from sanic import Blueprint, HTTPResponse, Request

    from ingest_api.user_reads import UserReads

_TAG: Final = "Users"
_JSON: Final = "application/json"
_REFUSAL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "details": {"type": "array"}},
    "required": ["message"],
}
_USER_EXAMPLE: Final[dict[str, Any]] = {
    "id": "281474976710657",
    "firstName": "Zoë",
    "lastName": "Smith",
    "email": "zoe@example.com",
    "mobileNumber": "+14155550123",
    "country": "USA",
    "state": "Texas",
    "active": True,
    "smsSubscription": True,
    "emailSubscription": True,
    "voiceSubscription": False,
    "lastActiveDateStr": "08/28/2017 12:00:00 AM GMT",
    "createdDateStr": "08/28/2017 12:23:28 PM GMT",
    "lastModifiedDateStr": "08/28/2017 12:23:28 PM GMT",
    "attributes": {"tier": "gold", "score": 12.5},
}
_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
_FILTERS: Final = (
    Parameter(
        name="email",
        place="query",
        description="Only the users with this email, whatever its case.",
        schema=_TEXT,
    ),
    Parameter(
        name="mobileNumber",
        place="query",
        description="Only the users with this phone number, compared in E.164; write + as %2B.",
        schema=_TEXT,
    ),
    Parameter(
        name="country",
        place="query",
        description="Only the users of this country, as it was written but for its case.",
        schema=_TEXT,
    ),
    Parameter(
        name="state",
        place="query",
        description="Only the users of this state, as it was written but for its case.",
        schema=_TEXT,
    ),
    Parameter(
        name="attributes.{name}",
        place="query",
        description="Only the users whose custom attribute `name` has this value.",
        schema=_TEXT,
    ),
)
_USERS: Final = Operation(
    summary="Users",
    description=(
        "In the order of their ids. Filters may be combined; a user must fulfil all of them."
        " `total` counts all users that do, whatever the page."
    ),
    tag=_TAG,
    role="reader",
    parameters=(
        *PAGE_PARAMETERS,
        after_parameter("Only users with a higher id than this; costs the same at any depth."),
        *_FILTERS,
    ),
    answers={
        200: Answer(
            description="A page of users.",
            bodies={_JSON: UserList},
            example={"total": 3, "audience": [_USER_EXAMPLE]},
        ),
        400: Answer(
            description="A parameter is not as described, or there is no such attribute.",
            bodies={_JSON: _REFUSAL},
            example={
                "message": "Invalid request parameter",
                "details": [
                    {
                        "line": None,
                        "column": "attributes.tier",
                        "code": "INVALID_PARAMETER",
                        "message": 'There is no custom attribute "tier".',
                    }
                ],
            },
        ),
    },
)
_ONE_USER: Final = Operation(
    summary="One user",
    tag=_TAG,
    role="reader",
    parameters=(
        Parameter(
            name="user_id",
            place="path",
            description="The user's id.",
            schema={"type": "string"},
            is_required=True,
        ),
    ),
    answers={
        200: Answer(description="The user.", bodies={_JSON: User}, example=_USER_EXAMPLE),
        400: Answer(
            description="There is no such user.",
            bodies={_JSON: _REFUSAL},
            example={"message": UNKNOWN_USER},
        ),
    },
)


def add_user_routes(api: Blueprint, users: UserReads) -> None:
    """Add the routes below ``/audience`` that read."""

    @api.get("/audience")
    @described(_USERS)
    async def list_users(request: Request[Any, Any]) -> HTTPResponse:
        account_of(request, "reader")
        page, wanted = keyed_page_of(request), read_filter(query_values(request))
        return json_answer(200, await users.select_page(wanted, page))

    @api.get("/audience/<user_id:str>")
    @described(_ONE_USER)
    async def one_user(request: Request[Any, Any], user_id: str) -> HTTPResponse:
        account_of(request, "reader")
        number = whole_number(user_id)
        user = None if not number else await users.fetch(number)
        if user is None:
            raise Refused(400, UNKNOWN_USER)
        return json_answer(200, user)

    _ = list_users, one_user
