"""The OpenAPI operations of the routes that read users."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.errors import UNKNOWN_USER
from ingest_api.jobs.operations import UNKNOWN_JOB_ID
from ingest_api.openapi.operation import (
    Operation,
    after_parameter,
    answer,
    either,
    page_parameters,
    path_parameter,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import User, Users

_FILTERS: Final = (
    (
        "search",
        (
            "A part of first and last name, email or mobile number, whatever its case; a number as"
            " people write it. It looks at every user: for about 0.3 s of one core a million."
        ),
        "lovel",
    ),
    (
        "key",
        "The reconciliation key, whichever field of a user it is on this server.",
        "ada@example.org",
    ),
    (
        "job",
        (
            "Only users whom this job was the last to set; whom other producers or single writes"
            " changed later are not among them."
        ),
        "5971883457542586123",
    ),
    ("email", "Whatever its case.", "ada@example.org"),
    ("mobileNumber", "Compared in E.164; in a URL + is %2B.", "+14155550123"),
    ("country", "As it is written for the user, but for its case.", "USA"),
    ("state", "As it is written for the user, but for its case.", "California"),
    ("attributes.{name}", "Of the custom attribute with this name; of its type.", "gold"),
)
USER_FILTERS: Final = tuple(
    query_parameter(name, text, example=example) for name, text, example in _FILTERS
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
    work="search",
    parameters=(
        *page_parameters(),
        after_parameter("Only users with a greater id: the last of the page before.", 9),
        *USER_FILTERS,
        AS_OF,
    ),
    answers={
        200: answer("A page of users.", Users),
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
        path_parameter("user_id", "Of the user.", example="9", pattern="^[0-9]{1,19}$"),
        AS_OF,
    ),
    answers={
        200: answer("The user.", User),
        400: refused("There is no such user.", UNKNOWN_USER),
        **PAST_ANSWERS,
    },
)
