"""Whatever a client writes into a header is read, or refused: no parser of one fails."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.auth.credentials import credentials_of
from ingest_api.errors import InvalidRequestError
from ingest_api.imports.file_parts import part_named
from ingest_api.uploads.multipart import FormError, boundary_of, file_part
from ingest_api.web.client_address import address_group
from ingest_api.web.content_negotiation import CONTENT_TYPES, preferred
from ingest_api.web.dates import parsed_time
from ingest_api.web.parameters import whole_number
from schemas.runtime.tracing import traceparent_in

_PIECES = (
    b"Basic ", b"Bearer ", b"rollcall_", b"multipart/form-data", b"boundary=", b"charset=",
    b"text/csv", b"/", b"*", b";", b",", b"q=", b"1.000", b"=", b'"', b"[", b"]", b"::1", b":80",
    b"127.0.0.1", b"2024-02-29", b"T", b"23:59:60", b"Z", b"-", b"+", b"00-", b"0", b"\0", b"\xe9",
    b"\xc4\x80", b"\xd9\xa3",
)  # fmt: skip
# As the framework gives them: UTF-8, and what is none as PEP 383 has it.
headers = (st.binary() | st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join)).map(
    lambda raw: raw.decode(errors="surrogateescape")
)


@given(headers)
def test_no_header_makes_its_parser_fail(text: str) -> None:
    """What it means is tested elsewhere; here, that the answer is never 500."""
    credentials_of(text)
    address_group(text)
    parsed_time(text)
    whole_number(text)
    traceparent_in([("traceparent", text.encode(errors="surrogateescape"))])
    file_part("users.csv", text, text)
    assert preferred([text], list(CONTENT_TYPES)) in (None, *CONTENT_TYPES)
    with suppress(FormError):
        boundary_of(text)
    with suppress(InvalidRequestError):
        part_named(text, "admin")
