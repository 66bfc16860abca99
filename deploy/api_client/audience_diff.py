"""Fetches all differences of the audience between two points in time, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.api_client.client import ApiClient
from deploy.api_client.retry import RetryPolicy, with_retries

_PATH = "/audience/diff"
_PAGE_SIZE = 1000


def first_page(client: ApiClient, query: Mapping[str, Any], policy: RetryPolicy) -> dict[str, Any]:
    """Return the counts and the first entries; wait while the tables of the past are built.

    Raises:
        ApiError: It was refused, or not ready for as long as the policy allows.
    """
    return with_retries(lambda: client.get(_PATH, query), policy)


def entries(
    client: ApiClient, query: Mapping[str, Any], first: Mapping[str, Any], policy: RetryPolicy
) -> Iterator[dict[str, Any]]:
    """Yield the entries of all pages by key, with one page in memory at a time.

    Raises:
        ApiError: As the first page does.
    """
    page = first
    while page["entries"]:
        yield from page["entries"]
        after = page["entries"][-1]["key"]
        page = first_page(client, {**query, "after": after, "pageSize": _PAGE_SIZE}, policy)
