"""Files of any charset that holds ASCII, or is marked, come out as text."""

from __future__ import annotations

import gzip

import pytest

from ingest_api.parsing.charsets import charset_named
from ingest_api.parsing.file_format import FileFormat, Limits
from ingest_api.parsing.records import FileRecords
from tests.support.models.record_reading import Dribble

_LAST_NAMES = {
    "iso8859-1": "Müller",
    "cp932": "表ソ能予髙①",
    "gb18030": "乗李🦊\u0301",
    "big5": "許功蓋",
    "cp949": "똠방각하",
    "euc_jp": "能",
    "koi8-r": "Жуковский",
    "cp1253": "Ελένη",
    "cp1256": "علي",
}


@pytest.mark.parametrize(
    ("charset", "bom", "told"),
    [
        ("utf-8", b"", None),
        ("utf-8", b"\xef\xbb\xbf", None),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("utf-16-le", b"\xff\xfe", None),
        ("utf-16-be", b"\xfe\xff", None),
        ("utf-16-le", b"\xff\xfe", "utf-8"),
        ("utf-16-be", b"\xfe\xff", "utf-16"),
        ("utf-16-le", b"", "utf-16-le"),
        ("iso8859-1", b"", "iso8859-1"),
        ("utf-8", b"\xef\xbb\xbf", "cp1252"),
        ("utf-16-le", b"\xff\xfe", "iso8859-1"),
        ("utf-32-be", b"\0\0\xfe\xff", "cp932"),
        ("cp932", b"", "cp932"),
        ("gb18030", b"", "gb18030"),
        ("gb18030", "\ufeff".encode("gb18030"), "gb18030"),
        ("big5", b"", "big5"),
        ("cp949", b"", "cp949"),
        ("euc_jp", b"", "euc_jp"),
        ("koi8-r", b"", "koi8-r"),
        ("cp1253", b"", "cp1253"),
        ("cp1256", b"", "cp1256"),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_charsets_come_out_as_text(
    charset: str, bom: bytes, told: str | None, is_packed: bool
) -> None:
    """The mark decides, else what was told, else UTF-8; gzip makes no difference."""
    last = _LAST_NAMES.get(charset, "Mü🦊李\u2028\u0301")
    content = bom + f"First Name,Last Name,Email\nJ,{last},a@b.cd\n".encode(charset)
    packed = gzip.compress(content[:9]) + gzip.compress(content[9:]) + b"\0\0"
    readable = Dribble(packed if is_packed else content, [1, 2, 3])
    described = FileFormat(charset=told, compression="gzip" if is_packed else "none")

    file = FileRecords(readable, described)
    raws = [block.raw(0) for block in file.blocks()]

    assert raws == [f"J,{last},a@b.cd"]
    assert file.charset == charset


@pytest.mark.parametrize(
    ("name", "expected"),
    [("UTF8", "utf-8"), ("Latin1", "iso8859-1"), ("utf-7", None), ("zip", None), ("x\0", None)],
)
def test_only_plain_charsets_are_taken(name: str, expected: str | None) -> None:
    """Codecs that are no charsets, or keep a state, are unknown."""
    assert charset_named(name) == expected


@pytest.mark.parametrize("number", [*range(1, 12), *range(13, 17)])
def test_every_part_of_iso_8859_is_taken(number: int) -> None:
    """All of them hold ASCII as it is."""
    assert charset_named(f"ISO-8859-{number}") == f"iso8859-{number}"


@pytest.mark.parametrize("number", [874, 932, 936, 949, 950, *range(1250, 1259)])
def test_every_code_page_of_windows_is_taken(number: int) -> None:
    """By its own name, which Python does not know of all."""
    found = charset_named(f"windows-{number}")
    assert found
    assert "abc,\r\n".encode(found) == b"abc,\r\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Shift_JIS", "cp932"),
        ("x-sjis", "cp932"),
        ("windows-31j", "cp932"),
        ("GB2312", "gb18030"),
        ("GBK", "gb18030"),
        ("EUC-KR", "cp949"),
        ("KOI8-U", "koi8-u"),
        ("macintosh", "mac-roman"),
        ("Big5-HKSCS", "big5hkscs"),
        ("utf-8-sig", "utf-8"),
        ("UTF-32", "utf-32"),
        ("ISO-2022-JP", None),
        ("cp037", None),
        ("hz", None),
        ("shift_jisx0213", None),
        ("unicode_escape", None),
        ("raw_unicode_escape", None),
        ("punycode", None),
        ("idna", None),
        ("rot13", None),
        ("windows-0", None),
    ],
)
def test_a_charset_is_the_larger_one_that_programs_mean(name: str, expected: str | None) -> None:
    """What Windows calls Shift_JIS has more characters; what has no ASCII is not taken."""
    assert charset_named(name) == expected


@pytest.mark.parametrize("charset", ["cp932", "gb18030", "big5", "cp949", "euc_jp"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_bytes_of_a_character_are_no_marks_of_the_file(charset: str, line_end: str) -> None:
    """Characters whose second byte is a backslash, a pipe, a digit or a letter cut no cell."""
    names = [chr(code) for code in (*range(0x4E00, 0x9FA6), *range(0xAC00, 0xD7A4))]
    encoded = [name.encode(charset, "ignore") for name in names]
    odd = [
        name
        for name, data in zip(names, encoded, strict=True)
        if data and not set(data[1:]).isdisjoint(range(0x80))
    ]
    names = odd[:400] or ["あ"]
    lines = [f"{name}|{name}|a@b.cd" for name in names]
    content = line_end.join(["First Name|Last Name|Email", *lines]).encode(charset)

    file = FileRecords(
        Dribble(content, [1, 5, 7]), FileFormat(charset=charset, delimiter="|"), Limits()
    )
    found = [block.raw(index) for block in file.blocks() for index in range(len(block))]

    assert found == lines


@pytest.mark.parametrize(
    ("charset", "version", "last"),
    [
        ("iso8859-1", 3, "O\u2019Neil €"),
        ("iso8859-1", 2, "O\x92Neil \x80"),
        ("iso8859-9", 3, "O\u2019Neil €"),
    ],
)
def test_latin_1_is_what_windows_calls_so(charset: str, version: int, last: str) -> None:
    """Under earlier rules control characters came of its quotes and its euro."""
    content = b"First Name,Last Name,Email\nJ,O\x92Neil \x80,a@b.cd\n"

    file = FileRecords(Dribble(content, [3]), FileFormat(charset=charset, rules_version=version))

    assert [block.raw(0) for block in file.blocks()] == [f"J,{last},a@b.cd"]
    assert file.charset == charset


@pytest.mark.parametrize("charset", ["iso8859-1", "cp1252", "iso8859-15", "cp1254"])
@pytest.mark.parametrize("last", ["Müller", "ZoÃ« Ü", "Byron"])
def test_latin_text_is_no_utf8(charset: str, last: str) -> None:
    """One letter of it tells, wherever the file is cut; ASCII is both."""
    content = f"First Name,Last Name,Email\nJ,{last},a@b.cd\n".encode(charset)

    file = FileRecords(Dribble(content, [1, 2]), FileFormat(charset=charset))

    assert [block.raw(0) for block in file.blocks()] == [f"J,{last},a@b.cd"]
