"""Files that are refused as a whole, each with the exact fault; and files that must be taken."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import pyarrow

HEADER = "First Name,Last Name,Email,Country\n"
GOOD = "Ada,Lovelace,ada@example.com,UK\n"


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file, how its sender described it, and the fault that answers it."""

    name: str
    content: bytes
    code: str
    line: int = 1
    column: str | None = None
    described: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: dict[str, Any] = field(default_factory=dict[str, Any])


def _text(*lines: str) -> bytes:
    return (HEADER + "".join(lines)).encode()


def _zip(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "<xml/>")
    return out.getvalue()


GZIP = {"compression": "gzip"}
PACKED = gzip.compress(_text(GOOD))
ZSTD = {"compression": "zstd"}
ZSTD_CODEC = pyarrow.Codec("zstd")
ZSTD_PACKED: bytes = ZSTD_CODEC.compress(_text(GOOD), asbytes=True)
BAD_FILES = (
    BadFile("empty", b"", "EMPTY_FILE"),
    BadFile("white space", b" \t\r\n\n  \n", "EMPTY_FILE"),
    BadFile("line feeds", b"\n\n\n", "EMPTY_FILE"),
    BadFile("BOM only", b"\xef\xbb\xbf", "EMPTY_FILE"),
    BadFile("UTF-16 BOM only", b"\xff\xfe", "EMPTY_FILE"),
    BadFile("empty gzip", gzip.compress(b""), "EMPTY_FILE", described=GZIP),
    BadFile("header only", HEADER.encode(), "NO_DATA_LINE"),
    BadFile("header without line end", HEADER.strip().encode(), "NO_DATA_LINE"),
    BadFile("header and blank lines", b"\n" + _text("\n", "\r\n"), "NO_DATA_LINE", 2),
    BadFile("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "NOT_CSV"),
    BadFile("ZIP", _zip("users.csv"), "NOT_CSV"),
    BadFile("XLSX", _zip("xl/workbook.xml"), "NOT_CSV"),
    BadFile("XLS", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "NOT_CSV"),
    BadFile("PDF", b"%PDF-1.7", "NOT_CSV"),
    BadFile("gzip by another name", PACKED, "NOT_CSV"),
    BadFile("no gzip", _text(GOOD), "GZIP_DAMAGED", described=GZIP),
    BadFile("gzip cut off", PACKED[:-5], "GZIP_CUT_OFF", 3, described=GZIP),
    BadFile("gzip of two bytes", b"\x1f\x8b", "GZIP_CUT_OFF", described=GZIP),
    BadFile("text after gzip", PACKED + b"more", "GZIP_DAMAGED", 3, described=GZIP),
    BadFile("empty zstd", ZSTD_CODEC.compress(b"", asbytes=True), "EMPTY_FILE", described=ZSTD),
    BadFile("zstd by another name", ZSTD_PACKED, "NOT_CSV"),
    BadFile("no zstd", _text(GOOD), "ZSTD_DAMAGED", described=ZSTD),
    BadFile("zstd cut off", ZSTD_PACKED[:-1], "ZSTD_CUT_OFF", 2, described=ZSTD),
    BadFile("text after zstd", ZSTD_PACKED + b"more", "ZSTD_DAMAGED", 3, described=ZSTD),
    BadFile(
        "zstd that needs a gigabyte to unpack",
        b"\x28\xb5\x2f\xfd\x00\xa0" + b"\0" * 16,
        "ZSTD_DAMAGED",
        described=ZSTD,
    ),
    BadFile(
        "zstd bomb",
        ZSTD_CODEC.compress(_text() + b"x" * 300_000, asbytes=True),
        "UNPACKED_TOO_LARGE",
        2,
        described=ZSTD,
        limits={"max_unpacked_bytes": 200_000, "max_cell_bytes": 400_000},
    ),
    BadFile(
        "gzip bomb",
        gzip.compress(_text() + b"x" * 300_000),
        "UNPACKED_TOO_LARGE",
        2,
        described=GZIP,
        limits={"max_unpacked_bytes": 200_000, "max_cell_bytes": 400_000},
    ),
    BadFile("UTF-16 LE without BOM", _text(GOOD).decode().encode("utf-16-le"), "UTF16_WITHOUT_BOM"),
    BadFile("UTF-16 BE without BOM", _text(GOOD).decode().encode("utf-16-be"), "UTF16_WITHOUT_BOM"),
    BadFile(
        "UTF-16 of odd length", b"\xff\xfe" + HEADER.encode("utf-16-le") + b"x", "INVALID_BYTES", 2
    ),
    BadFile(
        "Latin-1 unmarked", _text("J\xfcrgen\n").decode().encode("latin-1"), "INVALID_BYTES", 2
    ),
    BadFile("overlong bytes", _text(GOOD) + b"\xc0\xaf\n", "INVALID_BYTES", 3),
    BadFile("lone surrogate", _text(GOOD) + b"\xed\xa0\x80\n", "INVALID_BYTES", 3),
    BadFile("character cut off", _text(GOOD) + b"\xf0\x9f\xa6", "INVALID_BYTES", 3),
    BadFile("NUL", _text(GOOD, "a,b\0c,,\n"), "NUL_CHARACTER", 3, "Last Name"),
    BadFile(
        "UTF-32 without BOM",
        _text(GOOD).decode().encode("utf-32-le"),
        "UTF32_WITHOUT_BOM",
        described={"charset": "utf-32"},
    ),
    BadFile(
        "Shift_JIS cut off",
        _text(GOOD) + "表".encode("cp932")[:1],
        "INVALID_BYTES",
        3,
        None,
        {"charset": "cp932"},
    ),
    BadFile(
        "GB18030 with a byte of none",
        _text(GOOD) + b"a,\xff,,\n",
        "INVALID_BYTES",
        3,
        None,
        {"charset": "gb18030"},
    ),
    BadFile(
        "quote never closed", _text(GOOD, 'a,"b\n', GOOD * 3), "QUOTE_NOT_CLOSED", 3, "Last Name"
    ),
    BadFile(
        "quote never closed, with quotes after it",
        _text('a,"b,c,d\n', GOOD, 'a,"b",c,d\n'),
        "TEXT_AFTER_CLOSING_QUOTE",
        4,
        "Last Name",
    ),
    BadFile("quote never closed in the header", b'"Email\n' + GOOD.encode(), "QUOTE_NOT_CLOSED"),
    BadFile(
        "quote never closed in a long file",
        _text(GOOD, '"', "x\n" * 2000),
        "QUOTE_NOT_CLOSED",
        3,
        "First Name",
        limits={"max_record_bytes": 1000},
    ),
    BadFile(
        "text after a closing quote",
        _text('"a" ,b,c,d\n'),
        "TEXT_AFTER_CLOSING_QUOTE",
        2,
        "First Name",
    ),
    BadFile("quote in a cell", _text('a,5" disk,c,d\n'), "QUOTE_IN_UNQUOTED_CELL", 2, "Last Name"),
    BadFile(
        "space before a quote", _text('a, "b",c,d\n'), "QUOTE_IN_UNQUOTED_CELL", 2, "Last Name"
    ),
    BadFile(
        "repeated column", b"Email,First Name,e-mail\na@b.cd,x,y\n", "REPEATED_COLUMN", 1, "e-mail"
    ),
    BadFile("unknown column", b"Email,Shoe Size\na@b.cd,9\n", "UNKNOWN_COLUMN", 1, "Shoe Size"),
    BadFile("column without a name", b"Email,\na@b.cd,9\n", "UNKNOWN_COLUMN", 1, ""),
    BadFile("no key column", b"First Name\nAda\n", "KEY_COLUMN_MISSING", 1, "Email"),
    BadFile(
        "no key column, which is another",
        b"Email\na@b.cd\n",
        "KEY_COLUMN_MISSING",
        1,
        "Mobile Number",
        described={"reconciliation_key": "mobileNumber"},
    ),
    BadFile("no header", GOOD.encode(), "UNKNOWN_COLUMN", 1, "Ada"),
    BadFile(
        "wrong delimiter",
        _text(GOOD),
        "UNKNOWN_COLUMN",
        1,
        "First Name,Last Name,Email,Country",
        described={"delimiter": "|"},
    ),
    BadFile(
        "HYPHEN where dates split",
        b"Email-Last Active Date\na@b.cd-2020-01-02\n",
        "CELL_WITH_HYPHEN",
        2,
        described={"delimiter": "-"},
    ),
    BadFile("10,001 columns", b"Email" + b"," * 10_000 + b"\n", "TOO_MANY_COLUMNS"),
    BadFile("10,001 fields", _text("," * 10_000 + "\n"), "TOO_MANY_COLUMNS", 2),
    BadFile(
        "cell over the limit", _text("a,", "x" * 65_537, ",c,d\n"), "CELL_TOO_LONG", 2, "Last Name"
    ),
    BadFile(
        "quoted cell over the limit",
        _text("a,b,c,", '"' + "x" * 65_536 + '"\n'),
        "CELL_TOO_LONG",
        2,
        "Country",
    ),
    BadFile("header's cell over the limit", b"x" * 65_537 + b"\n", "CELL_TOO_LONG"),
    BadFile(
        "quote never closed before many lines",
        _text(GOOD, 'a,"b,c,d\n', "a,b,c,d\n" * 20_000),
        "QUOTE_NOT_CLOSED",
        3,
        "Last Name",
    ),
    BadFile("header over the limit", b"Email," + b" " * 65_531 + b"\n", "HEADER_TOO_LONG"),
    BadFile("line over the limit", _text(f"{'x' * 60_000}," * 18, "x\n"), "RECORD_TOO_LONG", 2),
    BadFile(
        "line of megabytes, no end", _text(GOOD, "x" * 3_000_000), "CELL_TOO_LONG", 3, "First Name"
    ),
    BadFile(
        "one row too many",
        b"\n" + _text(GOOD * 2, "\n", 'a,"b\n",c,d\n', GOOD, 'x"\n'),
        "TOO_MANY_ROWS",
        8,
        limits={"max_rows": 3},
    ),
    BadFile(
        "one row too many after another fault",
        _text(GOOD * 3, 'x"\n', GOOD),
        "QUOTE_IN_UNQUOTED_CELL",
        5,
        "First Name",
        limits={"max_rows": 4},
    ),
    BadFile(
        "LF in a file of CR",
        _text(GOOD, GOOD).replace(b"\n", b"\r", 2),
        "MIXED_LINE_ENDS",
        3,
        "Country",
    ),
    BadFile(
        "CRLF in a file of CR",
        HEADER.replace("\n", "\r").encode() + b"a,b,c,d\r\nx",
        "MIXED_LINE_ENDS",
        3,
        "First Name",
    ),
    BadFile(
        "quote never closed in a file of CR",
        _text('a,"b\n', GOOD).replace(b"\n", b"\r"),
        "QUOTE_NOT_CLOSED",
        2,
        "Last Name",
    ),
    BadFile(
        "only delimiters after the header", _text(",,,\n", '"","",,\r\n', " , \n"), "NO_DATA_LINE"
    ),
    BadFile("only delimiters", b",,,\n;;\n", "UNKNOWN_COLUMN", 2, ";;"),
    BadFile(
        "sep= and another delimiter",
        b"sep=;\r\n" + _text(GOOD),
        "DELIMITER_CONTRADICTED",
        described={"delimiter": ","},
    ),
    BadFile("sep= with a letter", b"\xef\xbb\xbfsep=x\n" + _text(GOOD), "DELIMITER_UNKNOWN"),
    BadFile(
        "sep= that is not the file's", b"sep=;\n" + _text(GOOD), "UNKNOWN_COLUMN", 2, HEADER.strip()
    ),
    BadFile("sep= and no more", b"sep=;\n", "EMPTY_FILE"),
    BadFile(
        "value without a column's name",
        b"Email,,State\na@b.cd,,x\nb@b.cd,y,z\n",
        "UNKNOWN_COLUMN",
        1,
        "",
    ),
    BadFile("one bare CR", _text("a\rb,b,c,d\n"), "BARE_CARRIAGE_RETURN", 2, "First Name"),
    BadFile("CR at the end", _text("a,b,c,d\r"), "BARE_CARRIAGE_RETURN", 2, "Country"),
    BadFile("doubled CR", _text("a,b,c,d\r\r\n"), "BARE_CARRIAGE_RETURN", 2, "Country"),
)


@dataclass(frozen=True, slots=True)
class GoodFile:
    """A file that must be taken, how its sender described it, and the cells of its lines."""

    name: str
    content: bytes
    cells: list[list[str]]
    delimiter: str = "COMMA"
    file_name: str = "users.csv"


_ADA = ["Ada", "Lovelace", "ada@example.com", "UK"]
_BOB = ["Bob", "Ross", "bob@example.com", "Italy"]
_BOB_LINE = "Bob,Ross,bob@example.com,Italy\n"
_PLAIN = _text(GOOD, _BOB_LINE)
_PART_HEAD = 'x\r\n\r\nContent-Disposition: form-data; name="importType"\r\n\r\ndelsert\r\n'


def _one(first_name: str) -> tuple[bytes, list[list[str]]]:
    """A file with this first name, in quotes."""
    quoted = first_name.replace('"', '""')
    return _text(f'"{quoted}",Lovelace,ada@example.com,UK\n'), [[first_name, *_ADA[1:]]]


def _delimited(name: str, delimiter: str) -> GoodFile:
    """A file whose cells hold the delimiter, a line break and quotes."""
    cells = [f'a{delimiter}b\r\n"c"\n', f"{delimiter}", "ada@example.com", "U\nK"]
    header = HEADER.replace(",", delimiter)
    line = delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
    return GoodFile(f"delimiters in cells, {name}", f"{header}{line}\n".encode(), [cells], name)


GOOD_FILES = (
    GoodFile("boundary text in a cell", *_one("a--XbX--\r\n-- XbX")),
    GoodFile("whole part head in a cell", *_one(_PART_HEAD)),
    GoodFile("UTF-8 with BOM", b"\xef\xbb\xbf" + _PLAIN, [_ADA, _BOB]),
    GoodFile("UTF-16 LE with BOM", b"\xff\xfe" + _PLAIN.decode().encode("utf-16-le"), [_ADA, _BOB]),
    GoodFile("UTF-16 BE with BOM", b"\xfe\xff" + _PLAIN.decode().encode("utf-16-be"), [_ADA, _BOB]),
    GoodFile("LF", _PLAIN, [_ADA, _BOB]),
    GoodFile("CRLF", _PLAIN.replace(b"\n", b"\r\n"), [_ADA, _BOB]),
    GoodFile("CRLF and LF mixed", _text(GOOD.replace("\n", "\r\n"), _BOB_LINE), [_ADA, _BOB]),
    GoodFile("no final newline", _PLAIN.strip(), [_ADA, _BOB]),
    GoodFile("trailing empty lines", _PLAIN + b"\n\r\n\n", [_ADA, _BOB]),
    _delimited("COMMA", ","),
    _delimited("SEMI_COLON", ";"),
    _delimited("PIPE", "|"),
    _delimited("HYPHEN", "-"),
    GoodFile("doubled quotes", *_one('"" "a" ""')),
    GoodFile(
        "header in another order and case",
        b"COUNTRY,e-mail,last_name,firstName\nUK,ada@example.com,Lovelace,Ada\n",
        [["UK", "ada@example.com", "Lovelace", "Ada"]],
    ),
    GoodFile("emoji", *_one("\N{FOX FACE}\N{ZERO WIDTH JOINER}\N{FOX FACE}")),
    GoodFile("right to left", *_one("\u202e\u05d0\u05d1\u05d2\u202c")),
    GoodFile("combining characters", *_one("e\u0301\u0323")),
    GoodFile("U+2028", *_one("a\u2028b\u2029c\u0085d")),
    GoodFile("control characters", *_one("a\x01\x1b[31mb\x7f\x0b\x0c\x1c")),
    GoodFile("gzip", gzip.compress(_PLAIN), [_ADA, _BOB], file_name="users.csv.gz"),
    GoodFile(
        "zstd in two frames",
        b"".join(ZSTD_CODEC.compress(part, asbytes=True) for part in (_PLAIN[:40], _PLAIN[40:])),
        [_ADA, _BOB],
        file_name="users.csv.zst",
    ),
    GoodFile(
        "gzip in two members",
        gzip.compress(_PLAIN[:40]) + gzip.compress(_PLAIN[40:]),
        [_ADA, _BOB],
        file_name="users.csv.GZ",
    ),
    GoodFile("CR", _PLAIN.replace(b"\n", b"\r"), [_ADA, _BOB]),
    GoodFile("CR, no end of the last line", _PLAIN.strip().replace(b"\n", b"\r"), [_ADA, _BOB]),
    GoodFile(
        "CR, other line breaks in cells",
        _text('"A\nd\r\na\r",Lovelace,ada@example.com,UK\n')
        .replace(b",UK\n", b",UK\r")
        .replace(b"Country\n", b"Country\r"),
        [["A\nd\r\na\r", *_ADA[1:]]],
    ),
    GoodFile("CR, blank lines", b"\r" + _PLAIN.replace(b"\n", b"\r\r"), [_ADA, _BOB]),
    GoodFile("CR in a cell of a CRLF file", *_one("A\rd\r\ra")),
    GoodFile("UTF-32 with BOM", _PLAIN.decode().encode("utf-32"), [_ADA, _BOB]),
    GoodFile(
        "UTF-32 BE with BOM", b"\0\0\xfe\xff" + _PLAIN.decode().encode("utf-32-be"), [_ADA, _BOB]
    ),
    GoodFile("two byte order marks", b"\xef\xbb\xbf" * 2 + _PLAIN, [_ADA, _BOB]),
    GoodFile(
        "two byte order marks of UTF-16",
        ("\ufeff\ufeff" + _PLAIN.decode()).encode("utf-16-le"),
        [_ADA, _BOB],
    ),
    GoodFile(
        "Excel's Unicode text",
        ("\ufeff" + _PLAIN.decode().replace(",", "\t")).encode("utf-16-le"),
        [_ADA, _BOB],
        "TAB",
    ),
    _delimited("TAB", "\t"),
    GoodFile(
        "a delimiter at the end of each line",
        _PLAIN.replace(b"\n", b",\n"),
        [[*_ADA, ""], [*_BOB, ""]],
    ),
    GoodFile(
        "columns without name and value",
        b'\xe2\x80\x8b,Email,,State, \n,a@b.cd,  ,x," "\n"",b@b.cd,,,\r\n',
        [["", "a@b.cd", "  ", "x", " "], ["", "b@b.cd", "", "", ""]],
    ),
    GoodFile(
        "rows of delimiters alone",
        b",,,\n"
        + _text(",,,\n", GOOD, ",\n", '"",,"",""\n', " , ,,\u3000\n", _BOB_LINE, ",,,,,,\n,,"),
        [_ADA, _BOB],
    ),
    GoodFile(
        "a byte order mark in the header",
        b"First\xc2\xa0Name,Last Name,\xef\xbb\xbfE\xe2\x80\x8bmail,Coun\xc2\xadtry\n"
        + GOOD.encode(),
        [_ADA],
    ),
    GoodFile("file name with a path", _PLAIN, [_ADA, _BOB], file_name="../../etc/passwd.csv"),
    GoodFile("file name with quotes", _PLAIN, [_ADA, _BOB], file_name="a\"b'c.csv"),
    GoodFile("file name of 4 KB", _PLAIN, [_ADA, _BOB], file_name="n" * 4092 + ".csv"),
)
