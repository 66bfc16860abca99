"""The OpenAPI operations of sessions, and what they take and answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import JSON, RETRY_AFTER, Answer, Operation, answer, refused
from ingest_api.web.json_body import JsonBody
from ingest_api.web.refused import UNAUTHORIZED
from ingest_api.web.roles import Role

_SET: Final = {"Set-Cookie": "The session's cookie, which scripts can't read."}


class SignIn(JsonBody, frozen=True, kw_only=True):
    """The name and the password of an account."""

    name: str
    password: str


class SignedIn(msgspec.Struct, frozen=True):
    """Whoever calls."""

    name: Annotated[str, Meta(description="The account's, `token/<name>` or `jwt/<subject>`.")]
    role: Role


class SignedOut(msgspec.Struct, frozen=True):
    """What was done."""

    message: str


_session: Final = partial(Operation, tag="Sessions")
SHOW_SESSION: Final = _session(
    summary="Who calls",
    role="reader",
    answers={200: answer("The name and the role of whoever calls.", SignedIn)},
)
SIGN_IN: Final = _session(
    summary="Sign in",
    description=(
        "For the page: begins a session of twelve hours, whose cookie stands for the credentials. "
        "It ends earlier with `…/session/delete`, another password of the account, or its end. "
        "With the cookie, what changes something needs the header `Rollcall-Page` as well, which "
        "no other site can have a browser send."
    ),
    role=None,
    body={JSON: SignIn},
    answers={
        200: Answer("Signed in.", {JSON: SignedIn}, headers=_SET),
        401: refused(
            "Name or password is wrong.",
            UNAUTHORIZED,
            headers={"WWW-Authenticate": "How to authenticate."},
        ),
        429: refused(
            "Too many logins of this name or from this address have failed.",
            "Too many failed logins, try again later",
            headers=RETRY_AFTER,
        ),
        503: refused(
            "Passwords can't be checked now.",
            "Postgres can't be reached: nothing was kept, try again",
            headers=RETRY_AFTER,
        ),
    },
)
SIGN_OUT: Final = _session(
    summary="Sign out",
    description="Ends the session of the request's cookie; without one there is nothing to end.",
    role="reader",
    answers={200: Answer("Signed out.", {JSON: SignedOut}, headers=_SET)},
)
