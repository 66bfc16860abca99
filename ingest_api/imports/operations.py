"""The OpenAPI operation of the import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from ingest_api.dry_runs.answer import DryRunAnswer
from ingest_api.dry_runs.limits import SMALL_AUDIENCE
from ingest_api.errors import INVALID_FILE
from ingest_api.imports.file_parts import PARTS, FileParts
from ingest_api.imports.file_table import file_table
from ingest_api.openapi.operation import (
    JSON,
    RETRY_AFTER,
    Answer,
    Operation,
    Parameter,
    idempotency_key,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import ImportAccepted
from ingest_api.openapi.unknown_names import MULTIPART
from ingest_api.parsing.file_format import AUTO, DELIMITERS
from ingest_api.uploads.raw_file import USUAL_NAME
from ingest_api.validation.phones import PHONE_REGIONS
from schemas.events import JOB_MODES
from schemas.rules.value_rules import DATE_ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_UPLOAD: Final = "An upload must be multipart/form-data, or the file itself, as text/csv for one"
_EXAMPLE_ID: Final = "8784592478968094060"
_DELIMITER: Final[dict[str, Any]] = {
    "type": "string",
    "enum": [*DELIMITERS, AUTO],
    "description": (
        "What stands between the cells of a line; `auto`: the delimiter with which the header has "
        "the most columns whose names are known, of ours or of other programs. "
        "Without it a comma, unless the first line of the file says otherwise (`sep=;`)."
    ),
}


def _choice(values: Sequence[str], description: str) -> dict[str, Any]:
    """Return the schema of an option that is one of these, and the first where it is left out."""
    return {
        "type": "string",
        "enum": list(values),
        "default": values[0],
        "description": description,
    }


_MODE: Final = _choice(
    JOB_MODES,
    "`insert` adds each line; one whose key exists is an error. "
    "`upsert` changes the user with that key, or adds it. "
    "`update` changes the user with that key; a key that nobody has is an error "
    "(`NO_SUCH_USER`). "
    "`ignore` adds each line; one whose key exists is passed over, and counted as unchanged. "
    "`delete` deletes the user with that key; nothing but the key's column is read, and a key "
    "that nobody has is an error (`NO_SUCH_USER`, role `manager`, but for a dry run). "
    "`delsert`: the file replaces the whole audience (role `manager`, but for a dry run).",
)
_BLANK_CELLS: Final = _choice(
    ["keep", "clear"],
    "What a blank cell does to the field of a user that an `upsert` or `update` changes.",
)
_OVERWRITE: Final[dict[str, Any]] = {
    "type": "string",
    "default": "always",
    "description": (
        "`always`: a value of an `upsert` or `update` takes the place of the user's. "
        "`blank`: it only fills a field that the user has no value in; subscriptions always have "
        "one. "
        "Or by column, between commas, after a rule for the others if any: "
        "`blank,Mobile Number=always`; all custom attributes are `attributes`."
    ),
    "examples": ["blank", "always,State=blank,attributes=blank"],
}
_PHONE_REGION: Final[dict[str, Any]] = {
    "type": "string",
    "enum": list(PHONE_REGIONS),
    "description": (
        "The country of phone numbers that name none, by its two letters of ISO 3166; "
        "without it such a number is refused."
    ),
}
_DATE_ORDER: Final = _choice(
    DATE_ORDERS,
    "How the file writes dates: `MDY` is 12/31/2025, `DMY` 31/12/2025, 31.12.2025 or "
    "31-12-2025, `YMD` 2025/12/31 or 2025.12.31. 2025-12-31 is always taken, and each with a "
    "time or not; of a time with a zone the day in UTC counts.",
)
_DRY_RUN: Final[dict[str, Any]] = {
    "type": "boolean",
    "default": False,
    "description": (
        "`true` answers what the upload would do to the users as they are, and changes nothing. "
        "`pendingJobs` were accepted before and are not finished: what they will do is not seen. "
        "Of a `delsert` it counts by key: who would come, differ, stay as they are, or go; "
        "the job itself would count all of its users as inserted. "
        "It means nothing to an `Idempotency-Key`."
    ),
}
_DECIDED: Final = (
    "It is decided on the users after all jobs that were accepted before; "
    "where those are not finished within 30 s, the answer is 503. "
)
_MAX_DELETE_PERCENT: Final[dict[str, Any]] = {
    "type": "number",
    "minimum": 0,
    "maximum": 100,
    "description": (
        "A `delsert` or `delete` that would remove more than this share of the users is refused "
        "with 400 and the code `MAX_DELETE_PERCENT`. "
        f"Without it, of more than {SMALL_AUDIENCE} users it is the setting "
        "`ROLLCALL_DELSERT_MAX_DELETE_PERCENT` (50); 100 lifts the limit. "
        f"{_DECIDED}"
        "The other modes remove nobody, so it means nothing to them."
    ),
}
_MAX_REJECTED: Final[dict[str, Any]] = {
    "type": "integer",
    "minimum": 0,
    "description": (
        "Where more lines of the file would be rejected, nothing of it is imported: it is refused "
        "with 400 and the code `MAX_REJECTED`. With 0 it is all or nothing. "
        "Lines count that are rejected by themselves, because of another line of the file, or "
        "because of the users there are. "
        f"{_DECIDED}"
        "What comes between that and the import, such as another upload at the same instant or an "
        "event of another producer, isn't known then, and may still reject lines."
    ),
}
_MAX_REJECTED_PERCENT: Final[dict[str, Any]] = {
    "type": "number",
    "minimum": 0,
    "maximum": 100,
    "description": (
        "The same as a share of the file's lines, with the code `MAX_REJECTED_PERCENT`. "
        "Of a `delsert` it is, without it, the setting `ROLLCALL_DELSERT_MAX_REJECTED_PERCENT` "
        "(10); 100 lifts the limit."
    ),
}
_COLUMNS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "description": (
        "What columns hold whose names are others: `Email Address=Email`, once for each, or one "
        'JSON object: `{"Email Address": "Email", "Notes": null}`. '
        "A field is named by its header, its name in JSON or as a custom attribute; "
        "`ignore`, or null, leaves the column out. "
        "`!` before a subscription (`Unsubscribed from all email=!Email Subscription`) says that "
        "the column holds its opposite: yes in it is no, blank says nothing, and words such as "
        "unsubscribed mean what they say; beside a column of the subscription itself, no from "
        "either is no. "
        "`auto`: columns called as the exports of Mailchimp, HubSpot, Salesforce, Google Contacts, "
        "Outlook, Klaviyo, Shopify or people do hold what those mean by it, also who has opted "
        "out. "
        "An error file of the job is uploaded with the same. "
        "Send it in the query or before the file: after it, it may come too late."
    ),
}
_UNKNOWN_COLUMNS: Final = _choice(
    ["refuse", "ignore", "attribute"],
    "What becomes of columns whose names are unknown. `refuse`: the file is refused, and all "
    "of them are named, each with the field that it probably means. `ignore`: they are left "
    "out. `attribute` (role `admin`, but for a dry run): each becomes a custom attribute of "
    "text, which is defined before the job is taken, under the column's name, without what no "
    "name may have; columns that probably hold a field of every user are refused all the same.",
)
_SHEET: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "description": (
        "Of an Excel workbook: the name of the sheet, or its number, the first is 1; without it "
        "the first that is not hidden."
    ),
}
_PRESET: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "description": (
        "The name of a preset: options that count where the request leaves them out. "
        "Send it in the query or before the file."
    ),
}
_OPT_INS: Final = _choice(
    ["keep", "apply"],
    "`keep`: what a person has opted out of stays false, whatever the file says, also where "
    "the user was deleted since and comes again; each such cell is a note of the job. "
    "`apply`: the file is the consent, and all is set as it says (role `admin`, but for a dry "
    "run).",
)
_INVALID_OPTIONAL: Final = _choice(
    ["reject", "drop"],
    "What becomes of a line with an invalid value of an optional column, one that a user need "
    "not have. `reject`: the line is an error. `drop`: the value is left out, as if the file "
    "did not say it, and the line counts; each such cell is a note of the job, with its value "
    "and what is wrong with it. What a user has in the field stays, also with "
    "`blankCells=clear`.",
)
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["uploadFile"],
    "additionalProperties": False,
    "properties": {
        "uploadFile": {
            "type": "string",
            "format": "binary",
            "contentMediaType": "text/csv",
            "description": (
                "The CSV file; its first line names the columns, in any order and case. "
                "Or a gzip or zstd file, by a name that ends in `.gz` or `.zst`, or by the part's "
                "`Content-Encoding` (`gzip`, `zstd`) or `Content-Type` (`application/gzip`, "
                "`application/zstd`). Or an Excel workbook (`.xlsx`, up to 64 MB), where the "
                "server is installed with it: its dates, numbers and booleans are taken as such, "
                "faults are told by the sheet's rows, and what is kept of it is the sheet as CSV. "
                "Or NDJSON (`.ndjson`, `.jsonl`, `application/x-ndjson`, also packed), an object a "
                "line, as exports are: members are columns, those of the first 1,000 lines, and "
                "lines are counted as those of the CSV that is kept, the first object is line 2."
                "\n\n"
                f"{file_table()}"
            ),
        },
        "importType": _MODE,
        "DELIMITER": _DELIMITER,
        "blankCells": _BLANK_CELLS,
        "overwrite": _OVERWRITE,
        "phoneRegion": _PHONE_REGION,
        "dateOrder": _DATE_ORDER,
        "dryRun": _DRY_RUN,
        "maxDeletePercent": _MAX_DELETE_PERCENT,
        "maxRejected": _MAX_REJECTED,
        "maxRejectedPercent": _MAX_REJECTED_PERCENT,
        "columns": _COLUMNS,
        "unknownColumns": _UNKNOWN_COLUMNS,
        "sheet": _SHEET,
        "preset": _PRESET,
        "optIns": _OPT_INS,
        "onInvalidOptional": _INVALID_OPTIONAL,
    },
}
_RAW: Final[dict[str, Any]] = {
    "type": "string",
    "contentMediaType": "text/csv",
    "description": (
        "The file itself, without a form; options stand in the query. `Content-Type` says what it "
        "is, as a form's part would: `text/csv; charset=utf-8`, `application/gzip`, and "
        "`Content-Encoding` may be `gzip` or `zstd`."
    ),
}
PRESET_OPTIONS: Final = frozenset(_FORM["properties"]) - {
    "uploadFile",
    "importType",
    "dryRun",
    "optIns",
    "preset",
}
"""What a preset may hold: how a file is read, not what it does to the audience."""


def _option(
    place: Literal["header", "query"], name: str, schema: dict[str, Any], *, before: str
) -> Parameter:
    """Return the parameter of an option; in header or query it counts before the form."""
    # Only the form has the default: the viewer sends defaults, and this one would override it.
    own = {word: value for word, value in schema.items() if word != "default"}
    text = f"{schema['description']} Counts before {before}."
    return Parameter(name=name, place=place, description=text, schema=own)


IMPORT: Final = Operation(
    summary="Import users from a file",
    description=(
        "Streams, so a file may be of any size. "
        "200 means that the file is in the log and every line of it will be applied; "
        "any other answer means that none ever is, unless a 503 says that it isn't known."
    ),
    tag="Import",
    role="importer",
    parameters=(
        _option("header", "DELIMITER", _DELIMITER, before="query and form"),
        idempotency_key(
            "A text of your own for this upload, such as `night 2016-06-28`: "
            "sent again with the same key and content, it is answered with the first one's id, "
            "and nothing is taken twice."
        ),
        _option("query", "importType", _MODE, before="the form"),
        _option("query", "DELIMITER", _DELIMITER, before="the form"),
        _option("query", "blankCells", _BLANK_CELLS, before="the form"),
        _option("query", "overwrite", _OVERWRITE, before="the form"),
        _option("query", "phoneRegion", _PHONE_REGION, before="the form"),
        _option("query", "dateOrder", _DATE_ORDER, before="the form"),
        _option("query", "dryRun", _DRY_RUN, before="the form"),
        _option("query", "maxDeletePercent", _MAX_DELETE_PERCENT, before="the form"),
        _option("query", "maxRejected", _MAX_REJECTED, before="the form"),
        _option("query", "maxRejectedPercent", _MAX_REJECTED_PERCENT, before="the form"),
        _option("query", "columns", _COLUMNS, before="the form"),
        _option("query", "unknownColumns", _UNKNOWN_COLUMNS, before="the form"),
        _option("query", "sheet", _SHEET, before="the form"),
        _option("query", "preset", _PRESET, before="the form"),
        _option("query", "optIns", _OPT_INS, before="the form"),
        _option("query", "onInvalidOptional", _INVALID_OPTIONAL, before="the form"),
        query_parameter(
            "fileName",
            "Of a body that is the file itself: by what name the job shows it, and whether it is "
            f"packed by its ending; `{USUAL_NAME}` where it isn't said.",
            example="users.csv.gz",
        ),
    ),
    body={MULTIPART: _FORM, "text/csv": _RAW, PARTS: FileParts},
    invalid_message=INVALID_FILE,
    answers={
        200: Answer(
            description="The file was taken and its job runs; or, of a dry run, what it would do.",
            bodies={JSON: (ImportAccepted, DryRunAnswer)},
            headers={"Location": "The job's status; not of a dry run."},
        ),
        400: refused(
            "The form or its file can't be read.",
            {
                "message": INVALID_FILE,
                "details": [
                    {
                        "line": 1,
                        "column": "Nonsense",
                        "code": "UNKNOWN_COLUMN",
                        "message": 'The column "Nonsense" is unknown: '
                        "correct its name or take it out.",
                    }
                ],
            },
        ),
        408: refused("The body did not come in time.", "No byte of the body came for 30 s"),
        409: refused(
            "The Idempotency-Key belongs to another upload.",
            "The Idempotency-Key was used before with other content",
        ),
        413: refused(
            "The body is over the server's limit.", "The body is larger than 1000000000 bytes"
        ),
        415: refused("The body is neither a form nor a file.", NO_UPLOAD),
        429: refused(
            "The account has too many uploads under way.",
            "Too many uploads of this account are under way, try again later",
            headers=RETRY_AFTER,
        ),
        503: refused(
            "It is not known whether the upload was taken.",
            {
                "message": "Kafka can't be reached: it is not known whether the upload was taken. "
                "A retry with the same Idempotency-Key is safe",
                "id": _EXAMPLE_ID,
            },
        ),
    },
)
