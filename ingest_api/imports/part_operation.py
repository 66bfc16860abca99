"""The OpenAPI operation of a part of a file, and its answer."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.errors import INVALID_FILE
from ingest_api.imports.file_parts import MOST_PART_BYTES
from ingest_api.imports.operations import IMPORT
from ingest_api.openapi.operation import Operation, answer

BYTES: Final = "application/octet-stream"


class PartKept(msgspec.Struct, frozen=True, rename="camel"):
    """A part that is kept."""

    part: Annotated[str, Meta(description="What names it, in an import or an inspection.")]
    size_bytes: int
    sha256: str


KEEP_PART: Final = Operation(
    summary="Send a part of a file",
    description=(
        f"Keeps up to {MOST_PART_BYTES} bytes of a file for the days that uploads are kept "
        "(`ROLLCALL_UPLOADS_RETENTION_DAYS`). An import or inspection then names the parts instead "
        "of holding the file: a connection that breaks costs one part, and a file that was "
        "previewed is not sent again. Only the account that sent a part can name it."
    ),
    tag="Import",
    role="importer",
    body={BYTES: {"type": "string", "format": "binary", "description": "Bytes of the file."}},
    invalid_message=INVALID_FILE,
    answers={
        200: answer("The part is kept.", PartKept),
        **{status: IMPORT.answers[status] for status in (400, 408, 413, 415, 429, 503)},
    },
)
