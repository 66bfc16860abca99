"""The multipart body of an upload: what is taken, what is refused, however it is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.uploads.multipart import FilePart, FormError, UploadForm, boundary_of
from tests.support.data.corpus.forms import BAD_FORMS, BOUNDARY, CSV, FILE_HEAD, field, form, part

if TYPE_CHECKING:
    from tests.support.data.corpus.forms import BadForm


def read(body: bytes, cuts: list[int] | None = None) -> tuple[FilePart, bytes, object]:
    """The file's part, its bytes and the fields of a body that comes in pieces."""
    reader = UploadForm(BOUNDARY)
    content: list[bytes] = []
    places = [0, *sorted(cuts or []), len(body)]
    for start, end in pairwise(places):
        content += reader.feed(body[start:end])
    return reader.finish(), b"".join(content), reader.fields


def read_as(content_type: str, body: bytes) -> None:
    """Read a body that comes whole, with the boundary that the head names."""
    boundary = boundary_of(content_type)
    assert boundary is not None
    reader = UploadForm(boundary)
    reader.feed(body)
    reader.finish()


def outcome(body: bytes, cuts: list[int]) -> object:
    """What is read, or the code of what is refused."""
    try:
        return read(body, cuts)
    except FormError as error:
        return error.code


def test_a_form_is_its_file_and_its_fields() -> None:
    """Fields before and after the file are read, the file comes out byte for byte."""
    body = form(field("importType", b"upsert"), part(FILE_HEAD, CSV), field("DELIMITER", b"PIPE"))
    file, content, fields = read(body)
    assert file == FilePart("users.csv", None, "none")
    assert content == CSV
    assert fields == {"importType": ["upsert"], "DELIMITER": ["PIPE"]}


BODIES = [
    form(field("importType", b"upsert"), part(FILE_HEAD, CSV), field("DELIMITER", b"PIPE")),
    form(part(FILE_HEAD, b"a\r\n--XbY\r\n\r--XbX\n--XbX\r\n\r--Xb")),
    form(part(FILE_HEAD, b"a,--XbX--,b\r\n-\r\n--\r\n--X")),
    b"preamble\r\n" + form(part(FILE_HEAD, CSV)) + b"epilogue",
    b"\r\n\r\n" + form(part(FILE_HEAD, CSV)),
    form(part(FILE_HEAD, CSV)) + b"--XbX--\r\n",
    form(part(FILE_HEAD, CSV))[:-4],
    form(part(FILE_HEAD, CSV), part(FILE_HEAD, CSV)),
    form(part(FILE_HEAD, CSV)).replace(b"\r\n", b"\n"),
    b"--XbX--\r\n",
    b"--XbX--\r\n--XbX--\r\n",
    b"nothing of the kind",
]


@given(st.sampled_from(BODIES), st.lists(st.integers(0, 400), max_size=12))
def test_every_way_of_cutting_a_body_reads_the_same(body: bytes, cuts: list[int]) -> None:
    """How the body was cut on its way changes neither what is read nor what is refused."""
    whole = outcome(body, [])
    assert outcome(body, [min(cut, len(body)) for cut in cuts]) == whole


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_comes_a_byte_at_a_time_reads_the_same(body: bytes) -> None:
    """The finest way of cutting."""
    assert outcome(body, list(range(len(body)))) == outcome(body, [])


@given(st.binary(max_size=600), st.lists(st.integers(0, 900), max_size=6))
def test_any_file_without_the_boundary_comes_out_as_it_was(content: bytes, cuts: list[int]) -> None:
    """A file is only bytes: nothing in it but its own boundary ends it."""
    content = content.replace(b"\r\n--" + BOUNDARY, b"")
    body = form(part(FILE_HEAD, content))
    assert read(body, [min(cut, len(body)) for cut in cuts])[1] == content


@given(st.binary(max_size=300))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    """Whatever comes is a form or is refused."""
    outcome(body, [])


HOSTILE_CELL = b'"\r\nContent-Disposition: form-data; name=""importType""\r\n\r\ndelsert\r\n"'


@pytest.mark.parametrize(
    "content",
    [b"a,--XbX,b", b"--XbX inside", b'"x\r\n--Xb"', HOSTILE_CELL, b"--XbX--", b"\r\n--XbXtail"],
)
def test_text_like_a_boundary_or_a_part_head_inside_the_file_is_data(content: bytes) -> None:
    """Only the boundary at the start of a line ends a part."""
    file, found, fields = read(form(part(FILE_HEAD, content)))
    assert (file.file_name, found, fields) == ("users.csv", content, {})


def test_an_end_inside_the_file_never_cuts_it_short() -> None:
    """A whole final boundary in a cell is refused, because the rest would be lost."""
    body = form(part(FILE_HEAD, b"a\r\n--XbX--\r\nb"))
    with pytest.raises(FormError) as refused:
        read(body)
    assert refused.value.code == "FORM_MALFORMED"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (rb"../../etc/passwd.csv", "../../etc/passwd.csv"),
        (rb"a \"b\".csv", 'a "b".csv'),
        (b"nul\0.csv", "nul\N{REPLACEMENT CHARACTER}.csv"),
        (b"n" * 4096, "n" * 4096),
        ("über.csv".encode(), "über.csv"),
        (b"\xff.csv", "\N{REPLACEMENT CHARACTER}.csv"),
    ],
)
def test_odd_file_names_are_only_names(name: bytes, expected: str) -> None:
    """A file is taken whatever its name; what text cannot hold is replaced."""
    head = b'Content-Disposition: form-data; name="uploadFile"; filename="' + name + b'"'
    assert read(form(part(head, CSV)))[0].file_name == expected


def test_the_head_of_the_file_says_its_charset_and_packing() -> None:
    """They are read from the part's own headers, and packing from the file's name too."""
    head = FILE_HEAD + b"\r\nContent-Type: text/csv; charset=UTF-16LE\r\nContent-Encoding: gzip"
    assert read(form(part(head, CSV)))[0] == FilePart("users.csv", "utf-16le", "gzip")
    named = FILE_HEAD.replace(b"users.csv", b"users.CSV.GZ")
    assert read(form(part(named, CSV)))[0].compression == "gzip"
    typed = FILE_HEAD + b"\r\nContent-Type: application/zstd"
    assert read(form(part(typed, CSV)))[0] == FilePart("users.csv", None, "zstd")
    named = FILE_HEAD.replace(b"users.csv", b"users.csv.zst")
    assert read(form(part(named, CSV)))[0].compression == "zstd"
    coded = FILE_HEAD + b"\r\nContent-Encoding: zstd"
    assert read(form(part(coded, CSV)))[0].compression == "zstd"


@pytest.mark.parametrize("bad", BAD_FORMS, ids=lambda bad: bad.name)
def test_a_body_that_is_no_upload_form_is_refused(bad: BadForm) -> None:
    """Each with its own code, so that a client can tell what to mend."""
    with pytest.raises(FormError) as refused:
        read_as(bad.content_type, bad.body)
    assert refused.value.code == bad.code


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data; boundary=" + "b" * 70, b"b" * 70),
        ("text/csv", None),
        ("multipart/mixed; boundary=abc", None),
        (None, None),
    ],
)
def test_the_boundary_is_in_the_content_type(
    content_type: str | None, boundary: bytes | None
) -> None:
    """Only multipart/form-data has one."""
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("parameter", ["", "; boundary=", "; boundary=" + "b" * 71])
def test_a_form_without_a_usable_boundary_is_refused(parameter: str) -> None:
    """RFC 2046 allows 1 to 70 characters."""
    with pytest.raises(FormError):
        boundary_of("multipart/form-data" + parameter)
