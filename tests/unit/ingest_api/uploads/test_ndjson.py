"""NDJSON becomes CSV, a line below its header for each line of it."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.errors import InvalidRequestError
from ingest_api.parsing.file_format import Limits
from ingest_api.uploads.converting_sink import ConvertingSink
from ingest_api.uploads.multipart import NDJSON, FilePart, file_part
from ingest_api.uploads.ndjson_to_csv import NdjsonToCsv
from ingest_api.uploads.options import ImportOptions

NAMES = st.sampled_from(["email", "First Name", "plan", "ñ"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(st.characters(exclude_categories=["Cs"]))
)


def converted(content: bytes, piece_bytes: int = 1 << 16) -> list[list[str]]:
    """The records of the CSV, whatever the pieces."""
    converter = NdjsonToCsv(most_columns=10_000, most_bytes=1 << 30)
    pieces = range(0, len(content), piece_bytes)
    fed = [made for at in pieces for made in converter.feed(content[at : at + piece_bytes])]
    text = b"".join([*fed, *converter.finish()]).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def refusal(content: bytes) -> dict[str, Any]:
    """Why the file is refused: its only detail."""
    with pytest.raises(InvalidRequestError) as refused:
        converted(content)
    detail = refused.value.details[0]
    return {"code": detail.code, "line": detail.line, "message": detail.message}


@given(st.lists(st.dictionaries(NAMES, VALUES), min_size=1), st.integers(1, 40))
def test_each_value_is_the_text_that_an_import_reads_as_it(
    records: list[dict[str, Any]], piece_bytes: int
) -> None:
    """Wherever the pieces are cut; a member that a line lacks is a blank cell."""
    content = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records).encode()
    names = list(dict.fromkeys(name for each in records for name in each))
    texts: dict[object, str] = {None: "", True: "true", False: "false"}
    expected = [names] if names else []
    for each in records if names else []:
        values = [each.get(name) for name in names]
        expected.append(
            [texts[v] if v is None or v is True or v is False else str(v) for v in values]
        )
    assert converted(content, piece_bytes) == expected


def test_numbers_have_all_digits_and_what_is_nested_stays_json() -> None:
    """A phone number is no 4.9e11; the last line needs no end, the first may have a mark."""
    content = b'\xef\xbb\xbf{"a": 12345678901234567890, "b": 4.9e11, "c": {"d": [1]}}\n\n{"a": 0.1}'
    assert converted(content) == [
        ["a", "b", "c"],
        ["12345678901234567890", "490000000000", '{"d":[1]}'],
        [],
        ["0.1", "", ""],
    ]


def test_custom_attributes_are_nested_as_exports_have_them() -> None:
    """Each is a column of its own name; anything else of that name is a column."""
    content = b'{"email": "a", "attributes": {"plan": "x"}}\n{"attributes": {"seats": 2}}'
    assert converted(content) == [["email", "plan", "seats"], ["a", "x", ""], ["", "", "2"]]
    assert converted(b'{"attributes": 1}') == [["attributes"], ["1"]]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b'{"a": 1}\n{"a": 1\n', 3, "Line 2 of the NDJSON file is no JSON: "),
        (b'{"\x80": 1}\n', 2, "is no JSON"),
        (b"[1]\n", 2, "Line 1 of the NDJSON file is no JSON object."),
        (b"[" * 100_000, 2, "is no JSON"),
        (b'{"a": "' + b"x" * (2 << 20), 2, "is longer than 1048576 bytes"),
        (b'{"a": 1}\n' * 1000 + b'{"b": 1}\n', 1002, 'has the member "b", which none of the'),
    ],
)
def test_what_is_no_ndjson_is_refused_with_its_line(content: bytes, line: int, says: str) -> None:
    """As of the CSV, whose header is line 1."""
    refused = refusal(content)
    assert (refused["code"], refused["line"]) == ("NDJSON_INVALID", line)
    assert says in refused["message"]


def test_it_is_known_by_name_or_type() -> None:
    """Of the part, or of the body."""
    assert file_part("Users.NDJSON", "application/octet-stream", "").compression == NDJSON
    assert file_part("users.jsonl", "text/csv; charset=utf-8", "").compression == NDJSON
    assert file_part("users", "application/x-ndjson", "").compression == NDJSON
    assert file_part("users.csv", "text/csv", "").compression != NDJSON


class Kept:
    """A sink that keeps what it is handed."""

    def __init__(self) -> None:
        self.content = b""
        self.file: FilePart | None = None

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Keep what is known of the file."""
        assert options.delimiter_name == "COMMA"
        self.file = file

    async def write(self, data: bytes) -> None:
        """Keep it."""
        self.content += data


def kept_of(content: bytes, file: FilePart, *, piece_bytes: int, most: int = 1 << 20) -> Kept:
    """What is kept of a file that comes in such pieces, and may unpack to so many bytes."""

    async def write() -> Kept:
        kept, options = Kept(), ImportOptions()
        with ConvertingSink(kept, Limits(max_unpacked_bytes=most)) as sink:
            for at in range(0, len(content), piece_bytes):
                sink.begin(file, options)
                await sink.write(content[at : at + piece_bytes])
            assert (await sink.finish(file, options))[0] == kept.file
        return kept

    return asyncio.run(write())


LINES = b"".join(b'{"email": "%d@example.com"}\n' % number for number in range(3000))
PACKED = {
    "all.ndjson.gz": gzip.compress(LINES[:500], mtime=0) + gzip.compress(LINES[500:], mtime=0),
    "all.JSONL.zst": pyarrow.Codec("zstd").compress(LINES, asbytes=True),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("piece_bytes", [100, 1 << 16])
def test_packed_it_is_unpacked_as_it_comes(name: str, piece_bytes: int) -> None:
    """Wherever the pieces are cut, in one member or several; what is kept is CSV, unpacked."""
    file = file_part(name, "application/octet-stream", "")
    kept = kept_of(PACKED[name], file, piece_bytes=piece_bytes)
    assert kept.content.replace(b"\r\n", b"\n").split(b"\n", 1)[1] == LINES.replace(
        b'{"email": "', b""
    ).replace(b'"}', b"")
    assert kept.file == FilePart(name, "utf-8", "none")


def test_a_coding_of_the_part_says_that_it_is_packed() -> None:
    """Whatever its name is."""
    file = file_part("all", "application/x-ndjson", "gzip")
    assert kept_of(PACKED["all.ndjson.gz"], file, piece_bytes=999).content.startswith(b"email")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (PACKED["all.ndjson.gz"][:-9], "GZIP_CUT_OFF"),
        (LINES, "GZIP_DAMAGED"),
        (gzip.compress(b"{}\n" * (1 << 19)), "UNPACKED_TOO_LARGE"),
    ],
)
def test_what_can_not_be_unpacked_refuses_the_file(content: bytes, code: str) -> None:
    """As it does a packed CSV file."""
    file = file_part("all.ndjson.gz", "", "")
    with pytest.raises(InvalidRequestError) as refused:
        kept_of(content, file, piece_bytes=1 << 16)
    assert refused.value.details[0].code == code


def test_short_lines_below_many_columns_come_in_pieces_and_have_a_limit() -> None:
    """Else a few kilobytes, packed, would become gigabytes at once."""
    wide = json.dumps({f"c{number}": 1 for number in range(9_000)}).encode() + b"\n"
    converter = NdjsonToCsv(most_columns=10_000, most_bytes=40 << 20)
    assert sum(map(len, converter.feed(wide + b"{}\n" * 1_000))) < 20 << 20
    pieces = converter.feed(b"{}\n" * 300_000)
    made = [len(next(pieces)) for _ in range(20)]
    assert max(made) < 2 << 20
    with pytest.raises(InvalidRequestError, match="valid CSV"):
        for _ in pieces:
            pass


def test_too_many_members_are_refused_before_a_row_is_made() -> None:
    """By the line that has them, as too many columns of a CSV are."""
    assert refusal(json.dumps(dict.fromkeys(map(str, range(10_001)), 1)).encode() + b"\n") == {
        "code": "NDJSON_INVALID",
        "line": 2,
        "message": "Line 1 of the NDJSON file has members that make it more than 10000 columns.",
    }
