"""The OpenAPI operation of inspections: an import's form without what decides on the import."""

from __future__ import annotations

from typing import Any, Final

from ingest_api.errors import INVALID_FILE
from ingest_api.imports.operations import IMPORT
from ingest_api.inspections.answer import InspectionShown
from ingest_api.openapi.operation import Operation, answer
from ingest_api.openapi.unknown_names import MULTIPART

_OPTIONS: Final = frozenset(
    {
        "uploadFile",
        "importType",
        "DELIMITER",
        "blankCells",
        "overwrite",
        "onInvalidOptional",
        "phoneRegion",
        "dateOrder",
        "columns",
        "unknownColumns",
        "sheet",
        "preset",
        "fileName",
    }
)


def _form() -> dict[str, Any]:
    form: dict[str, Any] = (IMPORT.body or {})[MULTIPART]
    fields = {name: rule for name, rule in form["properties"].items() if name in _OPTIONS}
    return form | {"properties": fields}


INSPECT: Final = Operation(
    summary="Inspect a file",
    description=(
        "Says what a file is and how it would be imported, and keeps nothing of it: "
        "its delimiter and charset, what each column holds, and what its lines would be rejected "
        "for, as the import itself would. "
        "What the request leaves open is found out: the answer's `options` are what to send with "
        "the import. "
        "Options must come before the file."
    ),
    tag="Import",
    role="importer",
    parameters=tuple(each for each in IMPORT.parameters if each.name in _OPTIONS),
    body={**(IMPORT.body or {}), MULTIPART: _form()},
    invalid_message=INVALID_FILE,
    answers={
        200: answer("What the file is, even if an import would refuse it.", InspectionShown),
        **{status: IMPORT.answers[status] for status in (400, 408, 413, 415, 429)},
    },
)
