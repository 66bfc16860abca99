"""Finds the user whom a command names by id, reconciliation key, email or mobile number."""

from collections.abc import Mapping
from typing import Any

from deploy.api_client.client import ApiClient, RefusedError, details_of, path_of
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.cli.command_error import CommandError

_NOW = RetryPolicy(for_s=0)
_NO_SUCH = 400


def user_id_of(
    client: ApiClient,
    named: str,
    query: Mapping[str, Any] | None = None,
    policy: RetryPolicy = _NOW,
) -> str:
    """Return the id of the user whom the text names.

    An id that is no user's is returned as it is: the user may have been deleted.
    A text that could mean several users names none of them.

    Raises:
        CommandError: no user is named so, or several are.
    """
    is_id = named.isascii() and named.isdecimal()
    found = _by(client, {"key": named}, query, policy)
    if is_id:
        found |= _with_id(client, named, query, policy)
    for field in () if found else _fields(named):
        found |= _by(client, {field: named}, query, policy)
    if not found and is_id:
        return named
    return _only(named, found)


def _fields(named: str) -> tuple[str, ...]:
    """The fields that such a text is a value of, where it is no key."""
    if "@" in named:
        return ("email",)
    return ("mobileNumber",) if named.startswith("+") else ()


def _only(named: str, found: Mapping[str, str]) -> str:
    if not found:
        message = (
            f"no user has the id, key, email or mobile number {named}:"
            f" `rollcall users --search TEXT` finds users by a part of it"
        )
        raise CommandError(message)
    if len(found) > 1:
        listed = ", ".join(f"{user_id} ({name})" for user_id, name in sorted(found.items()))
        message = f"{named} names several users, say which by id: {listed}"
        raise CommandError(message)
    return next(iter(found))


def _with_id(
    client: ApiClient, named: str, query: Mapping[str, Any] | None, policy: RetryPolicy
) -> dict[str, str]:
    try:
        user = with_retries(lambda: client.get(path_of("audience", named), query), policy)
    except RefusedError as error:
        if error.status != _NO_SUCH or details_of(error.answer):
            raise
        return {}
    return _names([user])


def _by(
    client: ApiClient,
    wanted: Mapping[str, str],
    query: Mapping[str, Any] | None,
    policy: RetryPolicy,
) -> dict[str, str]:
    try:
        page = with_retries(lambda: client.get("/audience", {**(query or {}), **wanted}), policy)
    except RefusedError as error:
        details = details_of(error.answer) or [{}]
        if error.status != _NO_SUCH or details[0].get("column") not in wanted:
            raise
        return {}  # the text can be no such value
    return _names(page["audience"])


def _names(users: list[dict[str, Any]]) -> dict[str, str]:
    return {user["id"]: user["email"] or user["mobileNumber"] or "" for user in users}
