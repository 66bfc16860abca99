"""The OpenAPI operations of the routes that read users."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.errors import UNKNOWN_USER
from ingest_api.jobs.operations import UNKNOWN_JOB_ID
from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    after_parameter,
    either,
    page_parameters,
    refused,
)
from ingest_api.openapi.response_types import User, Users


def _user_filter(name: str, description: str, example: str) -> Parameter:
    schema = {"type": "string", "minLength": 1}
    return Parameter(
        name=name, place="query", description=description, schema=schema, example=example
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
        _user_filter(
            "search",
            "A part of first and last name, email or mobile number, whatever its case; a number as"
            " people write it. It looks at every user: about a second a million.",
            "lovel",
        ),
        _user_filter(
            "key",
            "The reconciliation key, whichever field of a user it is on this server.",
            "ada@example.org",
        ),
        _user_filter(
            "job",
            "Only users whom this job was the last to set; what other producers or single writes"
            " changed later is not among them.",
            "5971883457542586123",
        ),
        _user_filter("email", "Whatever its case.", "ada@example.org"),
        _user_filter("mobileNumber", "Compared in E.164; in a URL + is %2B.", "+14155550123"),
        _user_filter("country", "As it is written for the user, but for its case.", "USA"),
        _user_filter("state", "As it is written for the user, but for its case.", "California"),
        _user_filter(
            "attributes.{name}", "Of the custom attribute with this name; of its type.", "gold"
        ),
        AS_OF,
    ),
    answers={
        200: Answer(description="A page of users.", bodies={JSON: Users}),
        400: either(NO_SUCH_POINT, UNKNOWN_JOB_ID),
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
