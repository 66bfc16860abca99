"""Parse the multipart body of an upload as it is received (RFC 7578, RFC 2046).

The file streams through and is never held; text fields are held and bounded.
A body that is not exactly what the contract asks for is refused: what a lenient
reader would guess at (a second file, a missing end) can be a file cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest_api.parsing.unpack import PACKINGS, packing_of
from ingest_api.uploads.transfer_encodings import Base64, QuotedPrintable, extended_value

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_FIELD: Final = "uploadFile"
_MOST_PARTS: Final = 64
_MOST_FIELD_BYTES: Final = 8 * 1024
_MOST_HEADERS: Final = 16
_SHOWN_CHARACTERS: Final = 100
_MOST_HEADER_BYTES: Final = 16 * 1024
_MOST_AROUND_BYTES: Final = 4 * 1024
"""Of the preamble, and of the epilogue: RFC 2046 has them ignored, and nobody sends them."""
_MOST_BOUNDARY_BYTES: Final = 70
"""RFC 2046, 5.1.1."""
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary", "identity"})
_PACKED_ENCODINGS: Final = {"base64": Base64, "quoted-printable": QuotedPrintable}
WORKBOOK: Final = "xlsx"
"""The compression of an Excel workbook, until a sheet of it has been made CSV."""
WORKBOOK_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NDJSON: Final = "ndjson"
"""The compression of a file of JSON objects, until it has been made CSV."""
NDJSON_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"}
)
_NDJSON_NAMES: Final = tuple(
    name + suffix
    for name in (".ndjson", ".jsonl")
    for suffix in ("", *(packing.suffix for packing in PACKINGS.values()))
)
FILE_CODINGS: Final = frozenset({"", "identity"}).union(
    *(packing.codings for packing in PACKINGS.values())
)


class FormError(ValueError):
    """A body that is no upload form; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file's name, charset and compression, from the headers of its part."""

    file_name: str
    charset: str | None
    compression: str
    packing: str = "none"
    """How NDJSON is packed, until it has been made CSV."""


def file_part(file_name: str, content_type: str, coding: str) -> FilePart:
    """Return the file as its sender describes it."""
    media_type, options = _with_options(content_type)
    charset = options.get(b"charset")
    packing = packing_of(file_name, media_type, coding)
    kind = _converted_kind(file_name.lower(), media_type)
    return FilePart(
        file_name=_without_nul(file_name),
        charset=charset.decode("latin-1").strip().lower() if charset else None,
        compression=kind or packing,
        packing=packing if kind == NDJSON else "none",
    )


def _converted_kind(file_name: str, media_type: str) -> str | None:
    if media_type == WORKBOOK_TYPE or file_name.endswith(".xlsx"):
        return WORKBOOK
    if media_type in NDJSON_TYPES or file_name.endswith(_NDJSON_NAMES):
        return NDJSON
    return None


def boundary_of(content_type: str | None) -> bytes | None:
    """Return the boundary of a multipart/form-data body, or None for another media type.

    Raises:
        FormError: where it is multipart/form-data without a usable boundary.
    """
    media_type, options = _with_options(content_type or "")
    if media_type != "multipart/form-data":
        return None
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= _MOST_BOUNDARY_BYTES or boundary.endswith(b" "):
        raise FormError("BOUNDARY", "The Content-Type has no boundary of 1 to 70 characters.")
    return boundary


class UploadForm:
    """A parser of one body; :meth:`feed` it in pieces cut anywhere, then :meth:`finish`.

    ``fields`` and ``file`` hold what has been parsed so far.
    """

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, list[str]] = {}
        self.file: FilePart | None = None
        self._start = b"--" + boundary
        self._end = b"\r\n--" + boundary + b"--"
        self._head: bytes | None = b""
        """The body so far while its first boundary has not come; then None."""
        self._tail = b""
        self._epilogue: bytes | None = None
        self._parts = 0
        self._pieces: list[bytes] = []
        self._part = _Part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
            max_header_count=_MOST_HEADERS,
            max_header_size=_MOST_HEADER_BYTES,
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Parse a piece of the body; return the pieces of the file in it, in order.

        Raises:
            FormError: it is no upload form; nothing more may be fed.
        """
        self._pieces = []
        if self._head is not None:
            data = self._after_preamble(self._head + data)
        if data:
            self._parse(data)
        return self._pieces

    def finish(self) -> FilePart:
        """End the body; return its file.

        Raises:
            FormError: the body has no end of its own, or no file.
        """
        if self._epilogue is None:
            raise FormError("FORM_INCOMPLETE", "The body does not end with its final boundary.")
        if self.file is None:
            raise FormError("FILE_MISSING", f"The form has no file part named {FILE_FIELD}.")
        return self.file

    def _after_preamble(self, body: bytes) -> bytes:
        """Return the body from its first boundary on, or nothing while there is none.

        The parser skips a preamble only in some forms, and differently where it is cut.
        """
        at = (b"\r\n" + body).find(b"\r\n" + self._start)
        if max(at, len(body) - len(self._start) if at < 0 else 0) > _MOST_AROUND_BYTES:
            raise FormError("FORM_MALFORMED", "The body does not begin with its boundary.")
        if at < 0:
            self._head = body
            return b""
        self._head = None
        self._tail = b"\r\n"  # a form without parts ends with its first boundary
        return body[at:]

    def _parse(self, data: bytes) -> None:
        """Give the data to the parser, piece by piece where the end may be.

        The parser drops what follows the end, so it must not get any of it.
        """
        recent = self._tail + data
        at = len(self._tail)
        while self._epilogue is None and at < len(recent):
            end_at = recent.find(self._end, max(0, at - len(self._end) + 1))
            upto = len(recent) if end_at < 0 else end_at + len(self._end)
            self._write(recent[at:upto])
            at = upto
        self._tail = recent[-(len(self._end) - 1) :]
        if self._epilogue is not None:
            self._add_epilogue(recent[at:])

    def _write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FormError("FORM_MALFORMED", "The body is not well-formed multipart.") from error

    def _add_epilogue(self, data: bytes) -> None:
        self._epilogue = (self._epilogue or b"") + data
        # A boundary after the end: the end stood inside the file, which would be cut short there.
        if len(self._epilogue) > _MOST_AROUND_BYTES or self._start in self._epilogue:
            raise FormError("FORM_MALFORMED", "The body goes on after its final boundary.")

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise FormError("TOO_MANY_PARTS", f"The form has more than {_MOST_PARTS} parts.")
        self._part = _Part()

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.end_header()

    def _on_headers_finished(self) -> None:
        part = self._part
        part.open()
        if not part.is_file:
            return
        if self.file is not None:
            raise FormError("SEVERAL_FILES", "The form has more than one file.")
        self.file = part.as_file()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._pieces += self._part.decoded(data[start:end])
        else:
            self._part.add_text(data[start:end])

    def _on_part_end(self) -> None:
        if self._part.is_file:
            self._pieces += self._part.last_decoded()
        else:
            self.fields.setdefault(self._part.name, []).append(self._part.text())

    def _on_end(self) -> None:
        self._epilogue = b""


class _Part:
    """The part that is being parsed."""

    def __init__(self) -> None:
        self.header_name = b""
        self.header_value = b""
        self.name = ""
        self.is_file = False
        self._headers: dict[bytes, bytes] = {}
        self._options: dict[bytes, bytes] = {}
        self._file_name: str | None = None
        self._decoder: Base64 | QuotedPrintable | None = None
        self._text = b""

    def end_header(self) -> None:
        """Keep the header that has been parsed.

        Raises:
            FormError: the part has it twice, or it holds a line break.
        """
        name = self.header_name.lower()
        if name in self._headers:
            raise FormError("FORM_MALFORMED", "A part has the same header twice.")
        if b"\n" in self.header_value:
            raise FormError("FORM_MALFORMED", "A part has a header with a line break in it.")
        self._headers[name] = self.header_value
        self.header_name = self.header_value = b""

    def open(self) -> None:
        """Find out from the headers whether the part is the file or a field.

        Raises:
            FormError: it is no part of an upload form.
        """
        disposition, self._options = self._header_with_options(b"content-disposition")
        if disposition != "form-data" or b"name" not in self._options:
            raise FormError("FORM_MALFORMED", "A part has no Content-Disposition with a name.")
        self.name = _decoded(self._options[b"name"])
        extended = extended_value(self._headers[b"content-disposition"], b"filename")
        plain = self._options.get(b"filename")
        # RFC 6266, 4.3: the extended one counts where both are given.
        self._file_name = plain.decode(errors="replace") if plain and not extended else extended
        self.is_file = plain is not None or extended is not None
        self._check_kind()
        self._check_encodings()

    def _check_kind(self) -> None:
        if self.is_file and self.name != FILE_FIELD:
            message = f'The file\'s part is named "{self.name[:_SHOWN_CHARACTERS]}": it is to be'
            raise FormError("UNEXPECTED_FILE", f"{message} {FILE_FIELD}.")
        if self.name == FILE_FIELD and not self._file_name:
            raise FormError("NOT_A_FILE", f"{FILE_FIELD} is not a file: it has no file name.")

    def _check_encodings(self) -> None:
        transfer = self._header_with_options(b"content-transfer-encoding")[0]
        coding = self._header_with_options(b"content-encoding")[0]
        allowed = FILE_CODINGS if self.is_file else _PLAIN_ENCODINGS
        if packed := _PACKED_ENCODINGS.get(transfer):
            self._decoder = packed()
        elif transfer not in _PLAIN_ENCODINGS:
            coding = "unknown"
        if coding not in allowed:
            raise FormError("PART_ENCODING", "A part is in an encoding that is not allowed.")

    def decoded(self, data: bytes) -> list[bytes]:
        """Return the part's next bytes without its transfer encoding, none or one piece.

        Raises:
            FormError: they are not in that encoding.
        """
        return self._checked(self._decoder.feed if self._decoder else bytes, data)

    def last_decoded(self) -> list[bytes]:
        """Return what was left for the part's end.

        Raises:
            FormError: the part ends within what stands for one of its bytes.
        """
        return self._checked(self._decoder.finish) if self._decoder else []

    def _checked(self, decode: Callable[..., bytes], *data: bytes) -> list[bytes]:
        try:
            piece = decode(*data)
        except ValueError as error:
            message = "A part is not in the encoding that its Content-Transfer-Encoding names."
            raise FormError("PART_ENCODING", message) from error
        return [piece] if piece else []

    def as_file(self) -> FilePart:
        """Return the file as its headers describe it."""
        media_type = self._headers.get(b"content-type", b"").decode("latin-1")
        coding = self._header_with_options(b"content-encoding")[0]
        return file_part(self._file_name or "", media_type, coding)

    def add_text(self, data: bytes) -> None:
        """Append to the value of a text field.

        Raises:
            FormError: it is too long.
        """
        self._text += b"".join(self.decoded(data))
        if len(self._text) > _MOST_FIELD_BYTES:
            raise FormError("FIELD_TOO_LONG", "A field of the form is longer than 8 KiB.")

    def text(self) -> str:
        """Return the value of a text field.

        Raises:
            FormError: it is not UTF-8.
        """
        return _decoded(b"".join([self._text, *self.last_decoded()]))

    def _header_with_options(self, name: bytes) -> tuple[str, dict[bytes, bytes]]:
        return _with_options(self._headers.get(name, b""))


def _with_options(header: str | bytes) -> tuple[str, dict[bytes, bytes]]:
    # The framework decodes headers as UTF-8, and what is none as PEP 383 has it.
    given = header.encode(errors="surrogateescape") if isinstance(header, str) else header
    value, options = parse_options_header(given)
    return value.decode("latin-1").strip().lower(), options


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FormError("FORM_MALFORMED", "A name or field of the form is not UTF-8.") from None


def _without_nul(name: str) -> str:
    # Postgres' text cannot hold it.
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")
