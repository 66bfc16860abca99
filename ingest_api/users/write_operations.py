"""The OpenAPI operations of the routes that write single users and show their history."""

from __future__ import annotations

from typing import Final

import msgspec

from ingest_api.errors import UNKNOWN_USER
from ingest_api.openapi.operation import (
    JSON,
    RETRY_AFTER,
    Operation,
    answer,
    either,
    idempotency_key,
    page_parameters,
    path_parameter,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import HistoryShown, Id
from ingest_api.users.body import INVALID_USER, UserBody

_EXAMPLE_ID: Final = "281474976710657"
_EVENT_ID: Final = "6d5f2c0b9e1a4f7788aa41c3d9e2b05f6d5f2c0b9e1a4f7788aa41c3d9e2b05f"


class UserWritten(msgspec.Struct, frozen=True, rename="camel"):
    """A user was added, changed or deleted, and every reader sees it."""

    id: Id
    message: str


_UNKNOWN_USER: Final = refused("There is no such user.", UNKNOWN_USER)
_FIELD_AT_FAULT: Final = refused(
    "A field is missing or breaks its rule.",
    refused_detail(INVALID_USER, "REQUIRED", "lastName", "lastName is required."),
)
_KEY_EXISTS: Final = "Email is being used for one of the audience members."
_NOT_ANSWERED: Final = refused(
    "The write is not known to be applied; whether it is in the log is said.",
    {"message": "The write is in the log and will be applied, …", "eventId": _EVENT_ID},
    headers=RETRY_AFTER,
)
_OTHER_CONTENT: Final = refused(
    "The Idempotency-Key was used for another request.",
    "This Idempotency-Key was used for another request",
)
_IDEMPOTENCY_KEY: Final = idempotency_key(
    "A text of the client's for this one write, kept for an hour:"
    " a retry with it changes nothing again and gets the same answer."
)
_USER_ID: Final = path_parameter("user_id", "The user's id.", example=_EXAMPLE_ID)


CREATE_USER: Final = Operation(
    summary="Add a user",
    tag="Users",
    role="importer",
    description=(
        "Required are firstName, lastName, email and country, state where the country is USA,"
        " and the reconciliation key. The rules are those of files."
        " The answer comes when every reader sees the user."
    ),
    parameters=(_IDEMPOTENCY_KEY,),
    body={JSON: UserBody},
    answers={
        200: answer("The user was added.", UserWritten),
        400: either(
            _FIELD_AT_FAULT,
            refused(
                "Another user has the reconciliation key.",
                refused_detail(_KEY_EXISTS, "KEY_EXISTS", "email", _KEY_EXISTS),
            ),
        ),
        409: _OTHER_CONTENT,
        503: _NOT_ANSWERED,
    },
)
MODIFY_USER: Final = Operation(
    summary="Change a user",
    tag="Users",
    role="importer",
    description=(
        "Changes the fields that the body has. Null and blank texts clear a field that is"
        " optional. The reconciliation key can't be changed."
    ),
    parameters=(_USER_ID, _IDEMPOTENCY_KEY),
    body={JSON: UserBody},
    answers={
        200: answer("The user is as asked.", UserWritten),
        400: either(_FIELD_AT_FAULT, _UNKNOWN_USER),
        409: _OTHER_CONTENT,
        503: _NOT_ANSWERED,
    },
)
DELETE_USER: Final = Operation(
    summary="Delete a user",
    tag="Users",
    role="admin",
    parameters=(_USER_ID, _IDEMPOTENCY_KEY),
    answers={
        200: answer("The user is gone.", UserWritten),
        400: _UNKNOWN_USER,
        409: _OTHER_CONTENT,
        503: _NOT_ANSWERED,
    },
)
HISTORY: Final = Operation(
    summary="What made a user as it is",
    tag="Users",
    role="reader",
    work="search",
    description=(
        "Read from the log itself: which job, line and log position set each field."
        " Events that changed nothing are left out."
    ),
    parameters=(_USER_ID, *page_parameters(default=1000)),
    answers={
        200: answer("The events that made and changed the user.", HistoryShown),
        400: _UNKNOWN_USER,
    },
)
