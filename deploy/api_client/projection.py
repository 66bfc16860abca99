"""Follows the build of a projection until it has ended."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.api_client.client import ApiClient, path_of
from deploy.api_client.retry import RetryPolicy, with_retries

PATH = "/admin/projections"
AT_WORK = ("requested", "building")

_POLL_S = 0.5
_UNREACHABLE_S = 60.0
_PAGE_SIZE = 100


def request(client: ApiClient, purpose: str, *, mend: bool) -> dict[str, Any]:
    """Request a projection and return it.

    Raises:
        ApiError: It was refused, as where one is at work, or the API could not be reached.
    """
    return client.post(PATH, {"purpose": purpose, "mend": mend})


def at_work(client: ApiClient) -> dict[str, Any] | None:
    """Return the projection being built to take the place of the live tables, or None.

    Raises:
        ApiError: The API refused or could not be reached.
    """
    newest = client.get(PATH, {"pageSize": _PAGE_SIZE})["projections"]
    wanted = ("rebuild", "verify", "upgrade", "undo")
    return next(
        (each for each in newest if each["purpose"] in wanted and each["state"] in AT_WORK), None
    )


def follow(client: ApiClient, number: int) -> Iterator[dict[str, Any]]:
    """Yield the projection as it goes on, twice a second, until it is no longer being built.

    Raises:
        ApiError: There is no such projection, or the API could not be reached for a minute.
    """
    policy = RetryPolicy(for_s=_UNREACHABLE_S, longest_delay_s=1.0)
    place = path_of("admin", "projections", str(number))
    while True:
        shown = with_retries(lambda: client.get(place), policy)
        yield shown
        if shown["state"] not in AT_WORK:
            return
        time.sleep(_POLL_S)


def compared_tables(projection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was found of each table; none where they were not compared."""
    result: dict[str, Any] = projection["result"] or {}
    return list(result.get("tables") or ())


def differing_tables(projection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tables that are not what the log makes."""
    return [table for table in compared_tables(projection) if not table["isEqual"]]
