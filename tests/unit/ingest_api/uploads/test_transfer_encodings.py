"""Parts in base64 or quoted-printable come out as they were, and names in RFC 8187 are read."""

from __future__ import annotations

import base64
import quopri
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest_api.uploads.multipart import FormError, UploadForm
from tests.support.data.corpus.forms import BOUNDARY, CSV, FILE_HEAD, form, part

HEAD = FILE_HEAD + b"\r\nContent-Transfer-Encoding: "


def read(body: bytes, cuts: list[int] | None = None) -> tuple[str, bytes, dict[str, list[str]]]:
    """The file's name and bytes, and the fields, of a body that comes in pieces."""
    reader = UploadForm(BOUNDARY)
    content: list[bytes] = []
    places = [0, *sorted(min(cut, len(body)) for cut in cuts or []), len(body)]
    for start, end in pairwise(places):
        content += reader.feed(body[start:end])
    return reader.finish().file_name, b"".join(content), reader.fields


@given(st.binary(max_size=400), st.lists(st.integers(0, 900), max_size=8))
def test_base64_comes_out_as_it_was(content: bytes, cuts: list[int]) -> None:
    """In lines or in one, however the body was cut."""
    for packed in (base64.encodebytes(content).replace(b"\n", b"\r\n"), base64.b64encode(content)):
        body = form(part(HEAD + b"Base64", packed))

        assert read(body, cuts)[1] == content


@given(st.binary(max_size=400), st.lists(st.integers(0, 1500), max_size=8))
def test_quoted_printable_comes_out_as_it_was(content: bytes, cuts: list[int]) -> None:
    """However the body was cut."""
    encoded = quopri.encodestring(content)
    # Of line ends of two kinds it makes one.
    assume(quopri.decodestring(encoded) == content)
    body = form(part(HEAD + b"quoted-printable", encoded))

    assert read(body, cuts)[1] == content


def test_a_line_of_quoted_printable_without_an_end_is_not_held() -> None:
    """What is long is given on, and an escape is never cut."""
    content = b"=3D" * 5000
    reader = UploadForm(BOUNDARY)
    pieces = reader.feed(form(part(HEAD + b"quoted-printable", content))[:9000])

    assert len(b"".join(pieces)) > 1000
    assert set(b"".join(pieces)) == {ord("=")}


def test_a_field_may_be_encoded_too() -> None:
    """Ansible's uri module encodes all parts alike."""
    head = b'Content-Disposition: form-data; name="importType"\r\nContent-Transfer-Encoding: base64'
    body = form(part(head, base64.b64encode(b"upsert")), part(FILE_HEAD, CSV))

    assert read(body)[2] == {"importType": ["upsert"]}


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        (b"base64", b"QUJD*"),
        (b"base64", b"QUJ"),
        (b"base64", b"QQ==QUJD"),
        (b"quoted-printable", b"a=XY"),
        (b"quoted-printable", b"a=4"),
        (b"uuencode", b"a"),
    ],
)
def test_what_is_not_in_its_encoding_is_refused(encoding: bytes, content: bytes) -> None:
    """Wherever it is cut."""
    body = form(part(HEAD + encoding, content))
    for cuts in ([], list(range(len(body)))):
        with pytest.raises(FormError) as refused:
            read(body, cuts)
        assert refused.value.code == "PART_ENCODING"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (b"filename=users.csv; filename*=utf-8''users.csv", "users.csv"),
        (b"filename*=UTF-8''%e2%82%ac%20rates.csv", "€ rates.csv"),
        (b"filename=\"EURO.csv\"; filename*=utf-8'en'%e2%82%ac.csv", "€.csv"),
        (b"filename*=UTF-8''a.csv; filename=\"b.csv\"", "a.csv"),
        (b"filename*=iso-8859-1''%A3.csv", "£.csv"),
        (b"FileName*=UTF-8''%41.csv", "A.csv"),
        (b"filename=\"a; filename*=UTF-8''b.csv\"", "a; filename*=UTF-8''b.csv"),
        (b"filename=\"a.csv\"; filename*=UTF-8''%FF.csv", "a.csv"),
        (b"filename=\"a.csv\"; filename*=utf-7''b.csv", "a.csv"),
        (b"filename=\"\"; filename*=UTF-8''b.csv", "b.csv"),
    ],
)
def test_an_extended_file_name_counts(parameters: bytes, expected: str) -> None:
    """Alone or beside the plain one (RFC 6266, 4.3), where it can be read."""
    head = b"Content-Disposition: form-data; name=uploadFile; " + parameters

    assert read(form(part(head, CSV))) == (expected, CSV, {})


def test_a_name_that_can_not_be_read_is_none() -> None:
    """A part without a name that counts is no file."""
    head = b"Content-Disposition: form-data; name=uploadFile; filename*=UTF-8''%FF"
    with pytest.raises(FormError) as refused:
        read(form(part(head, CSV)))
    assert refused.value.code == "NOT_A_FILE"
