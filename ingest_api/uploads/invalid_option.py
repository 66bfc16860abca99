"""The error of an option of an upload that is not what the contract allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.errors import Detail, invalid_file

if TYPE_CHECKING:
    from ingest_api.errors import InvalidRequestError


def invalid_option(name: str, message: str) -> InvalidRequestError:
    """Return the error of an option that is not what the contract allows."""
    return invalid_file(Detail("INVALID_PARAMETER", message, column=name))
