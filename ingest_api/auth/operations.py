"""The OpenAPI operations of accounts and API tokens, and what they take and answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec

from ingest_api.auth import accounts, api_tokens
from ingest_api.auth.credentials import LEAST_PASSWORD_CHARACTERS, MOST_PASSWORD_CHARACTERS
from ingest_api.openapi.operation import (
    JSON,
    Operation,
    answer,
    page_parameters,
    path_parameter,
    refused,
)
from ingest_api.web.json_body import INVALID_BODY, JsonBody
from ingest_api.web.roles import Role

_MOST_DAYS: Final = 3650


class AccountShown(msgspec.Struct, frozen=True, rename="camel"):
    """An account as administrators see it."""

    name: str
    role: Role
    created_date: str
    modified_date: str


class AccountPage(msgspec.Struct, frozen=True):
    """A page of all accounts, by name."""

    total: int
    accounts: list[AccountShown]


class NewAccount(JsonBody, frozen=True, kw_only=True):
    """An account to be made; without a password it gets a random one."""

    name: str
    role: Role
    password: str | None = None


class ChangedAccount(JsonBody, frozen=True, kw_only=True):
    """What is to change of an account."""

    role: Role | None = None
    password: str | None = None


class AccountAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done; ``password`` only where it was generated, and only this once."""

    name: str
    message: str
    password: str | None = None


class TokenShown(msgspec.Struct, frozen=True, rename="camel"):
    """A token as administrators see it: without its secret."""

    id: str
    name: str
    role: Role
    created_by: str
    created_date: str
    expires_date: str | None
    last_used_date: str | None


class TokenPage(msgspec.Struct, frozen=True):
    """A page of all tokens, the oldest first."""

    total: int
    tokens: list[TokenShown]


class NewToken(JsonBody, frozen=True, kw_only=True):
    """A token to be made; without ``expiresInDays`` it counts until it is deleted."""

    name: str
    role: Role
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=_MOST_DAYS)] | None = None


class TokenAdded(msgspec.Struct, frozen=True):
    """The token, shown this once."""

    id: str
    token: str
    message: str


class TokenDeleted(msgspec.Struct, frozen=True):
    """What was done."""

    id: str
    message: str


_of_accounts: Final = partial(Operation, tag="Accounts", role="admin")
_of_tokens: Final = partial(Operation, tag="Tokens", role="admin")
_NAME: Final = path_parameter("name", "The account's name.", example="night shift")
_INVALID: Final = {400: refused(INVALID_BODY)}
_UNKNOWN: Final = {404: refused(accounts.UNKNOWN_ACCOUNT)}
_LAST: Final = {409: refused(accounts.LAST_ADMIN)}
_PASSWORD_RULE: Final = (
    f"A password is {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS} characters"
    " without control characters."
)
_ENDS: Final = "It ends at once here, and within two seconds on every other instance."

LIST_ACCOUNTS: Final = _of_accounts(
    summary="List accounts",
    parameters=page_parameters(),
    answers={200: answer("A page of all accounts, by name", AccountPage)},
)
SHOW_ACCOUNT: Final = _of_accounts(
    summary="Show an account",
    parameters=(_NAME,),
    answers={200: answer("The account", AccountShown), **_UNKNOWN},
)
ADD_ACCOUNT: Final = _of_accounts(
    summary="Make an account",
    act="account.add",
    description="Where no password is given, one is generated and shown this once. "
    f"{_PASSWORD_RULE}",
    body={JSON: NewAccount},
    answers={
        200: answer("It was made", AccountAnswer),
        **_INVALID,
        409: refused(accounts.NAME_TAKEN),
    },
)
CHANGE_ACCOUNT: Final = _of_accounts(
    summary="Change an account's role or password",
    act="account.change",
    description="It holds at once here, and within two seconds on every other instance. "
    f"{_PASSWORD_RULE}",
    parameters=(_NAME,),
    body={JSON: ChangedAccount},
    answers={200: answer("It was changed", AccountAnswer), **_INVALID, **_UNKNOWN, **_LAST},
)
DELETE_ACCOUNT: Final = _of_accounts(
    summary="Delete an account",
    act="account.delete",
    description=f"{_ENDS} Tokens that it has made stay.",
    parameters=(_NAME,),
    answers={200: answer("It was deleted", AccountAnswer), **_UNKNOWN, **_LAST},
)
LIST_TOKENS: Final = _of_tokens(
    summary="List API tokens",
    description="When a token was last used is noted once a minute at most.",
    parameters=page_parameters(),
    answers={200: answer("A page of all tokens, the oldest first; never their secrets", TokenPage)},
)
ADD_TOKEN: Final = _of_tokens(
    summary="Make an API token",
    act="token.add",
    description="The token is shown this once. It is sent as `Authorization: Bearer` and"
    " acts under the name `token/<name>`.",
    body={JSON: NewToken},
    answers={
        200: answer("It was made", TokenAdded),
        **_INVALID,
        409: refused(api_tokens.NAME_TAKEN),
    },
)
DELETE_TOKEN: Final = _of_tokens(
    summary="Delete an API token",
    act="token.delete",
    description=_ENDS,
    parameters=(path_parameter("token_id", "The token's id.", example="1"),),
    answers={200: answer("It was deleted", TokenDeleted), 404: refused(api_tokens.UNKNOWN_TOKEN)},
)
