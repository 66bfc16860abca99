"""Answers that are files: the format that a request asks for, and rows sent in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import invalid_parameter
from ingest_api.formats.tables import FORMATS
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET, preferred
from ingest_api.web.parameters import header_values, query_values
from ingest_api.web.streaming import send_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import Request

    from ingest_api.formats.tables import Format
    from ingest_api.postgres.row_stream import RowStream

_MEDIA_TYPES: Final[Mapping[str, Format]] = {CSV: "csv", NDJSON: "ndjson", PARQUET: "parquet"}
_CONTENT_TYPES: Final[Mapping[Format, str]] = {
    "csv": f"{CSV}; charset=utf-8; header=present",
    "ndjson": NDJSON,
    "parquet": PARQUET,
}


def requested_format(request: Request[Any, Any]) -> Format:
    """Return the format that the query names; without it `Accept` decides, and CSV is the first.

    Raises:
        InvalidRequestError: there is no such format.
    """
    values = query_values(request).get("format")
    if values is None:
        accepted = preferred(header_values(request, "accept"), tuple(_MEDIA_TYPES))
        return _MEDIA_TYPES[accepted or CSV]
    for known in FORMATS:
        if values == [known]:
            return known
    raise invalid_parameter("format", f"format is one of {', '.join(FORMATS)}.")


async def send_file(
    request: Request[Any, Any], rows: RowStream, name: str, as_format: Format
) -> None:
    """Send the rows as a file of this name, and close them."""
    headers = {
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{name}.{as_format}"',
    }
    await send_rows(request, rows, content_type=_CONTENT_TYPES[as_format], headers=headers)
