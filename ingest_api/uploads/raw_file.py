"""A body that is the file itself, without a form around it; its options stand in the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest_api.parsing.unpack import PACKINGS
from ingest_api.uploads.multipart import FILE_CODINGS, NDJSON_TYPES, WORKBOOK_TYPE, file_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.uploads.multipart import FilePart

USUAL_NAME: Final = "upload.csv"
_MEDIA_TYPES: Final = frozenset(
    {
        "text/csv",
        "application/csv",
        "text/tab-separated-values",
        "text/plain",
        "application/vnd.ms-excel",
        "application/octet-stream",
        WORKBOOK_TYPE,
    }
).union(NDJSON_TYPES, *(packing.media_types for packing in PACKINGS.values()))
"""Those that senders give CSV files, and those of files that hold one."""


def raw_file(content_type: str, coding: str, file_name: str = USUAL_NAME) -> FilePart | None:
    """Return the file that a body with these headers is; None where no file is of this type."""
    media_type = content_type.partition(";")[0].strip().lower()
    is_taken = media_type in _MEDIA_TYPES and coding in FILE_CODINGS
    return file_part(file_name, content_type, coding) if is_taken else None


class RawFile:
    """Hands a body on as its only file, as :class:`ingest_api.uploads.multipart.UploadForm` would.

    ``fields`` and ``file`` are what such a form has.
    """

    def __init__(self, file: FilePart) -> None:
        self.fields: Mapping[str, Sequence[str]] = {}
        self.file = file

    def feed(self, data: bytes) -> list[bytes]:
        """Return the file's next bytes."""
        return [data]

    def finish(self) -> FilePart:
        """Return the file."""
        return self.file
