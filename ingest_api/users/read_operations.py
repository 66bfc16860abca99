"""The OpenAPI operations of the routes that read users."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.errors import UNKNOWN_USER
from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    after_parameter,
    page_parameters,
    refused,
)
from ingest_api.openapi.response_types import User, Users


def _user_filter(name: str, description: str, example: str) -> Parameter:
    schema = {"type": "string", "minLength": 1}
    return Parameter(
        name=name, place="query", description=description, schema=schema, example=example
    )


USER_FILTERS: Final = (
    _user_filter("email", "Whatever its case.", "ada@example.org"),
    _user_filter("mobileNumber", "Compared in E.164; in a URL + is %2B.", "+14155550123"),
    _user_filter("country", "As it is written for the user, but for its case.", "USA"),
    _user_filter("state", "As it is written for the user, but for its case.", "California"),
    _user_filter(
        "attributes.{name}", "Of the custom attribute with this name; of its type.", "gold"
    ),
)
USERS: Final = Operation(
    summary="Users of the audience",
    description=(
        "By id, so that pages stay stable while users are added. "
        "Filters may be combined: users fulfil all of them, and `total` counts those that do, "
        "whatever the page. A custom attribute is a filter as `attributes.<name>`. "
        + PAST_DESCRIPTION
    ),
    tag="Users",
    role="reader",
    parameters=(
        *page_parameters(),
        after_parameter("Only users with a greater id: the last of the page before.", 9),
        *USER_FILTERS,
        AS_OF,
    ),
    answers={
        200: Answer(description="A page of users.", bodies={JSON: Users}),
        400: NO_SUCH_POINT,
        **PAST_ANSWERS,
    },
)
ONE_USER: Final = Operation(
    summary="One user",
    description=PAST_DESCRIPTION,
    tag="Users",
    role="reader",
    parameters=(
        Parameter(
            name="user_id",
            place="path",
            description="Of the user.",
            schema={"type": "string", "pattern": "^[0-9]{1,19}$"},
            example="9",
        ),
        AS_OF,
    ),
    answers={
        200: Answer(description="The user.", bodies={JSON: User}),
        400: refused("There is no such user.", {"message": UNKNOWN_USER}),
        **PAST_ANSWERS,
    },
)
