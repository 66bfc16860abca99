"""Bodies of uploads that are refused, each with the exact code; and parts to make others of."""

from __future__ import annotations

from dataclasses import dataclass

BOUNDARY = b"XbX"
CONTENT_TYPE = "multipart/form-data; boundary=XbX"
CSV = b"First Name,Email\r\nA,a@b.co\r\n"
FILE_HEAD = b'Content-Disposition: form-data; name="uploadFile"; filename="users.csv"'


def part(head: bytes, content: bytes) -> bytes:
    """A part with these header lines."""
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, value: bytes) -> bytes:
    """A part that is a text field."""
    return part(f'Content-Disposition: form-data; name="{name}"'.encode(), value)


def form(*parts: bytes) -> bytes:
    """A whole body of these parts."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


FILE = part(FILE_HEAD, CSV)


@dataclass(frozen=True, slots=True)
class BadForm:
    """A body, and the code that answers it with 400."""

    name: str
    body: bytes
    code: str
    content_type: str = CONTENT_TYPE


BAD_FORMS = (
    BadForm("no file part", form(field("importType", b"insert")), "FILE_MISSING"),
    BadForm("two files", form(FILE, FILE), "SEVERAL_FILES"),
    BadForm("file in a text field", form(field("uploadFile", CSV)), "NOT_A_FILE"),
    BadForm(
        "file without a name",
        form(part(FILE_HEAD.replace(b"users.csv", b""), CSV)),
        "NOT_A_FILE",
    ),
    BadForm(
        "file under another name",
        form(part(FILE_HEAD.replace(b"uploadFile", b"other"), CSV)),
        "UNEXPECTED_FILE",
    ),
    BadForm("no boundary", form(FILE), "BOUNDARY", "multipart/form-data"),
    BadForm("empty boundary", form(FILE), "BOUNDARY", "multipart/form-data; boundary="),
    BadForm(
        "boundary of 71 characters",
        form(FILE).replace(b"XbX", b"X" * 71),
        "BOUNDARY",
        "multipart/form-data; boundary=" + "X" * 71,
    ),
    BadForm("another boundary", form(FILE).replace(b"XbX", b"YbY"), "FORM_INCOMPLETE"),
    BadForm("line feeds only", form(FILE).replace(b"\r\n", b"\n"), "FORM_MALFORMED"),
    BadForm("no final boundary", form(FILE)[:-4], "FORM_INCOMPLETE"),
    BadForm("nothing", b"", "FORM_INCOMPLETE"),
    BadForm("100 KB before the first", b"x" * 100_000 + b"\r\n" + form(FILE), "FORM_MALFORMED"),
    BadForm("10 MB after the last", form(FILE) + b"x" * 10_000_000, "FORM_MALFORMED"),
    BadForm("10,000 parts", form(*[field("a", b"b")] * 10_000, FILE), "TOO_MANY_PARTS"),
    BadForm(
        "part header of 64 KB",
        form(part(FILE_HEAD + b"\r\nX: " + b"x" * 65_536, CSV)),
        "FORM_MALFORMED",
    ),
    BadForm(
        "part header without a colon",
        form(part(FILE_HEAD + b"\r\nno colon", CSV)),
        "FORM_MALFORMED",
    ),
    BadForm(
        "part header twice", form(part(FILE_HEAD + b"\r\n" + FILE_HEAD, CSV)), "FORM_MALFORMED"
    ),
    BadForm("part without a name", form(part(b"Content-Type: text/csv", CSV)), "FORM_MALFORMED"),
    BadForm(
        "file in base64",
        form(part(FILE_HEAD + b"\r\nContent-Transfer-Encoding: base64", CSV)),
        "PART_ENCODING",
    ),
    BadForm(
        "gzip as a transfer encoding",
        form(part(FILE_HEAD + b"\r\nContent-Transfer-Encoding: gzip", CSV)),
        "PART_ENCODING",
    ),
    BadForm(
        "file in br", form(part(FILE_HEAD + b"\r\nContent-Encoding: br", CSV)), "PART_ENCODING"
    ),
    BadForm(
        "field in gzip",
        form(
            part(
                b'Content-Disposition: form-data; name="importType"\r\nContent-Encoding: gzip',
                b"insert",
            ),
            FILE,
        ),
        "PART_ENCODING",
    ),
    BadForm("field of 10 KB", form(field("importType", b"x" * 10_000)), "FIELD_TOO_LONG"),
    BadForm("field that is not UTF-8", form(field("importType", b"\xff")), "FORM_MALFORMED"),
)

BAD_OPTIONS = (
    ("DELIMITER", (b"PIPE", b"COMMA", b"SEMI_COLON")),
    ("DELIMITER", (b"PIPE", b"PIPE", b"PIPE")),
    ("DELIMITER", (b"SPACE",)),
    ("DELIMITER", (b"",)),
    ("importType", (b"merge",)),
    ("importType", (b"insert", b"delsert")),
    ("importType", (b"insert", b"insert")),
    ("importType", (b"INSERT",)),
    ("blankCells", (b"maybe",)),
)
"""A field of the form, and its values, with which an upload is refused."""
