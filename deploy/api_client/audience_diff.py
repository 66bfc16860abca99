"""All that differs in the audience between two points in time, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.api_client.client import ApiClient
from deploy.api_client.retry import Patience, persistently

_PATH = "/audience/diff"
_PAGE_SIZE = 1000


def first_page(client: ApiClient, query: Mapping[str, Any], patience: Patience) -> dict[str, Any]:
    """The counts and the first entries; waits while what was then is being built.

    Raises:
        ApiError: It was refused, or not ready for as long as the patience lasts.
    """
    return persistently(lambda: client.get(_PATH, query), patience)


def entries(
    client: ApiClient, query: Mapping[str, Any], first: Mapping[str, Any], patience: Patience
) -> Iterator[dict[str, Any]]:
    """The entries of the first page and of all after it, by key; one page is held at a time.

    Raises:
        ApiError: As the first page does.
    """
    page = first
    while page["entries"]:
        yield from page["entries"]
        after = page["entries"][-1]["key"]
        page = first_page(client, {**query, "after": after, "pageSize": _PAGE_SIZE}, patience)
