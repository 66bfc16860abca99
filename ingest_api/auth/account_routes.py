"""The routes below ``/admin/accounts``: accounts and their roles, for administrators.

Bodies are read by :func:`ingest_api.web.json_body.json_body`, so these routes are
streams: nothing of a body is read before it is known who sends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec
import structlog

from ingest_api.auth.accounts import LAST_ADMIN, NAME_TAKEN, UNKNOWN_ACCOUNT, AccountChange
from ingest_api.auth.credentials import (
    LEAST_PASSWORD_CHARACTERS,
    MOST_PASSWORD_CHARACTERS,
    name_fault,
    password_fault,
)
from ingest_api.auth.middleware import account_of
from ingest_api.auth.password_hashing import generated_password
from ingest_api.errors import Detail, InvalidRequestError, NotFoundError
from ingest_api.openapi.described import described
from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    page_parameters,
    refused,
)
from ingest_api.web.dates import date_text
from ingest_api.web.json_body import INVALID_BODY, JsonBody, json_body
from ingest_api.web.paging import page_of
from ingest_api.web.roles import Account, Role

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.auth.accounts import Accounts
    from ingest_api.auth.authenticator import Authenticator

_NAME_PARAMETER: Final = Parameter(
    name="name",
    place="path",
    description="The account's name.",
    schema={"type": "string"},
    is_required=True,
    example="night shift",
)
_log = structlog.stdlib.get_logger("rollcall.api")


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
    password: str | None = msgspec.field(default=None)


class ChangedAccount(JsonBody, frozen=True, kw_only=True):
    """What is to change of an account."""

    role: Role | None = None
    password: str | None = None


class AccountAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done; ``password`` only where it was generated, and only this once."""

    name: str
    message: str
    password: str | None = None


def refusals(**texts: str) -> dict[int, Answer]:
    """Answers with a message alone: ``refusals(_404="There is no …")``."""
    return {
        int(code.removeprefix("_")): refused(text, {"message": text})
        for code, text in texts.items()
    }


_UNKNOWN: Final = refusals(_404=UNKNOWN_ACCOUNT)
_LAST: Final = refusals(_409=LAST_ADMIN)
_INVALID: Final = refusals(_400=INVALID_BODY)
_PASSWORD_RULE: Final = (
    f"A password is {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS} characters"
    " without control characters."
)


def add_account_routes(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    """Add the routes."""
    _add_reads(api, accounts)
    _add_changes(api, accounts, authenticator)
    _add_deletion(api, accounts, authenticator)


def _add_reads(api: Blueprint, accounts: Accounts) -> None:
    @api.get("/admin/accounts")
    @described(
        Operation(
            summary="List accounts",
            tag="Accounts",
            role="admin",
            parameters=page_parameters(),
            answers={
                200: Answer(
                    description="A page of all accounts, by name", bodies={JSON: AccountPage}
                )
            },
        )
    )
    async def account_page(request: Request[Any, Any]) -> AccountPage:
        account_of(request, "admin")
        total, rows = await accounts.select_page(page_of(request))
        return AccountPage(total, [_shown(row) for row in rows])

    @api.get("/admin/accounts/<name:str>")
    @described(
        Operation(
            summary="Show an account",
            tag="Accounts",
            role="admin",
            parameters=(_NAME_PARAMETER,),
            answers={
                200: Answer(description="The account", bodies={JSON: AccountShown}),
                **_UNKNOWN,
            },
        )
    )
    async def account(request: Request[Any, Any], name: str) -> AccountShown:
        account_of(request, "admin")
        found = await accounts.fetch(_name_in(name))
        return _shown(found)

    _ = account_page, account


def _add_changes(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    @api.post("/admin/accounts", stream=True)
    @described(
        Operation(
            summary="Make an account",
            tag="Accounts",
            role="admin",
            description=f"Where no password is given, one is generated and shown this once. "
            f"{_PASSWORD_RULE}",
            body={JSON: NewAccount},
            answers={
                200: Answer(description="It was made", bodies={JSON: AccountAnswer}),
                **_INVALID,
                **refusals(_409=NAME_TAKEN),
            },
        )
    )
    async def add_account(request: Request[Any, Any]) -> AccountAnswer:
        by = account_of(request, "admin")
        body = await json_body(request, NewAccount)
        check_name(body.name)
        _check_password(body.password)
        generated = None if body.password is not None else generated_password()
        password = body.password or generated or ""
        await accounts.add(Account(body.name, body.role), password)
        authenticator.invalidate()
        _log.info("account added", by=by.name, account=body.name, role=body.role)
        return _done(body.name, "Account added successfully", generated)

    @api.put("/admin/accounts/<name:str>", stream=True)
    @described(
        Operation(
            summary="Change an account's role or password",
            tag="Accounts",
            role="admin",
            description="It holds at once here, and within two seconds on every other instance. "
            f"{_PASSWORD_RULE}",
            parameters=(_NAME_PARAMETER,),
            body={JSON: ChangedAccount},
            answers={
                200: Answer(description="It was changed", bodies={JSON: AccountAnswer}),
                **_INVALID,
                **_UNKNOWN,
                **_LAST,
            },
        )
    )
    async def change_account(request: Request[Any, Any], name: str) -> AccountAnswer:
        by = account_of(request, "admin")
        body = await json_body(request, ChangedAccount)
        name = _name_in(name)
        if body.role is None and body.password is None:
            raise invalid_body("role", "REQUIRED", "role or password is required.")
        _check_password(body.password)
        await accounts.change(name, AccountChange(body.role, body.password))
        authenticator.invalidate()
        _log.info(
            "account changed",
            by=by.name,
            account=name,
            role=body.role,
            is_password_changed=body.password is not None,
        )
        return _done(name, "Account updated successfully")

    _ = add_account, change_account


def _add_deletion(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    @api.route("/admin/accounts/<name:str>/delete", methods=["POST"], ignore_body=True)
    @described(
        Operation(
            summary="Delete an account",
            tag="Accounts",
            role="admin",
            description="It ends at once here, and within two seconds on every other instance. "
            "Tokens that it has made stay.",
            parameters=(_NAME_PARAMETER,),
            answers={
                200: Answer(description="It was deleted", bodies={JSON: AccountAnswer}),
                **_UNKNOWN,
                **_LAST,
            },
        )
    )
    async def delete_account(request: Request[Any, Any], name: str) -> AccountAnswer:
        by = account_of(request, "admin")
        name = _name_in(name)
        await accounts.delete(name)
        authenticator.invalidate()
        _log.info("account deleted", by=by.name, account=name)
        return _done(name, "Account deleted successfully")

    _ = delete_account


def check_name(name: str) -> None:
    """Refuse what no account or token may be called.

    Raises:
        InvalidRequestError: its body says so.
    """
    fault = name_fault(name)
    if fault is not None:
        raise invalid_body("name", "VALUE_INVALID", fault)


def _name_in(segment: str) -> str:
    """The name that a segment of the path says.

    The framework's own decoding depends on the order in which it happens to meet the routes.

    Raises:
        NotFoundError: no account has such a name; not every text could even be looked for.
    """
    name = unquote(segment)
    if name_fault(name) is not None:
        raise NotFoundError(UNKNOWN_ACCOUNT)
    return name


def invalid_body(column: str, code: str, message: str) -> InvalidRequestError:
    """Return the error of a body whose field is not what it may be."""
    return InvalidRequestError(INVALID_BODY, [Detail(code, message, column=column)])


def _check_password(password: str | None) -> None:
    fault = None if password is None else password_fault(password)
    if fault is not None:
        raise invalid_body("password", "VALUE_INVALID", fault)


def _shown(row: dict[str, Any]) -> AccountShown:
    return AccountShown(
        row["name"], row["role"], date_text(row["created_at"]), date_text(row["modified_at"])
    )


def _done(name: str, message: str, password: str | None = None) -> AccountAnswer:
    return AccountAnswer(name, message, password)
