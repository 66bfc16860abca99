"""Sends a file as a multipart form."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

from deploy.api_client.client import ApiClient, ApiError

_PATH = "/audience/import"
_DRY_RUN_PATH = f"{_PATH}?dryRun=true"
_INSPECT_PATH = "/audience/inspect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to import and the options of its import; None leaves an option to the server."""

    file: IO[bytes]
    """Open, with a position that can be moved, so that it can be sent again."""
    name: str
    mode: str
    delimiter: str | None = "COMMA"
    charset: str | None = None
    blank_cells: str | None = None
    overwrite: str | None = None
    phone_region: str | None = None
    date_order: str | None = None
    max_delete_percent: float | None = None
    columns: tuple[str, ...] = ()
    """``Header=Field``."""
    unknown_columns: str | None = None
    sheet: str | None = None
    preset: str | None = None
    opt_ins: str | None = None
    invalid_optional: str | None = None
    max_rejected: int | None = None
    max_rejected_percent: float | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return os.fstat(self.file.fileno()).st_size


def send(
    client: ApiClient,
    upload: Upload,
    *,
    idempotency_key: str | None,
    advance: Callable[[int], object],
) -> dict[str, Any]:
    """Upload the file and return the response with the job's id; `advance` gets the bytes sent.

    With a key it may be sent again where no response came, and still becomes one job.

    Raises:
        ApiError: The API refused it or could not be reached.
    """
    headers = {"Idempotency-Key": idempotency_key.encode()} if idempotency_key else {}
    return _post(client, upload, _PATH, advance, headers=headers)


def send_for_dry_run(
    client: ApiClient, upload: Upload, *, advance: Callable[[int], object]
) -> dict[str, Any]:
    """Return what importing the file would do, as counts and samples.

    Raises:
        ApiError: The API refused it, could not be reached, or took it for an import.
    """
    answer = _post(client, upload, _DRY_RUN_PATH, advance)
    if answer.get("dryRun") is not True:
        message = f"the server knows no dry runs: it imports the file as the job {answer.get('id')}"
        raise ApiError(message)
    return answer


def send_for_inspection(
    client: ApiClient, upload: Upload, *, advance: Callable[[int], object]
) -> dict[str, Any]:
    """Return what the file is, and how it would be imported.

    Raises:
        ApiError: The API refused it or could not be reached.
    """
    return _post(client, upload, _INSPECT_PATH, advance)


def _post(
    client: ApiClient,
    upload: Upload,
    path: str,
    advance: Callable[[int], object],
    *,
    headers: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    upload.file.seek(0)
    media_type = f"text/csv; charset={upload.charset}" if upload.charset else "text/csv"
    return client.request(
        "POST",
        path,
        headers=headers,
        # They go before the file, so that the server can refuse it before it has read it all.
        data=options_of(upload),
        files={"uploadFile": (_sendable(upload.name), _Metered(upload.file, advance), media_type)},
    )


def _sendable(name: str) -> str:
    """Return the name of a file with U+FFFD for each byte of it that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def options_of(upload: Upload) -> dict[str, str | list[str]]:
    """Return what is said of the upload, by the names that the API has."""
    given: dict[str, str | list[str] | None] = {
        "importType": upload.mode,
        "DELIMITER": upload.delimiter,
        "blankCells": upload.blank_cells,
        "overwrite": upload.overwrite,
        "phoneRegion": upload.phone_region,
        "dateOrder": upload.date_order,
        "maxDeletePercent": _number(upload.max_delete_percent),
        "maxRejected": _number(upload.max_rejected),
        "maxRejectedPercent": _number(upload.max_rejected_percent),
        "columns": list(upload.columns) or None,
        "unknownColumns": upload.unknown_columns,
        "sheet": upload.sheet,
        "preset": upload.preset,
        "optIns": upload.opt_ins,
        "onInvalidOptional": upload.invalid_optional,
    }
    return {name: value for name, value in given.items() if value is not None}


def _number(value: float | None) -> str | None:
    return None if value is None else f"{Decimal(str(value)).normalize():f}"


class _Metered:
    """A file that reports how many bytes of it have been read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], object]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the file."""
        data = self._file.read(size)
        self._advance(len(data))
        return data

    def fileno(self) -> int:
        """Return the descriptor from which httpx2 takes the length of the body."""
        return self._file.fileno()
