"""Every case of bad and of odd input over HTTP, each with its exact answer.

What is refused leaves no job; what is taken is taken to the letter.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h11
import httpx2
import pytest

from ingest_api.parsing.unpack import PACKINGS
from tests.support.clients.raw_http import (
    CSV,
    IMPORT,
    INVALID,
    accounts_and_topics_are_there,
    body,
    head,
    jobs,
    json_of,
    raw,
    status_of,
)
from tests.support.data.corpus.files import BAD_FILES, GOOD_FILES
from tests.support.data.corpus.forms import BAD_FORMS, BAD_OPTIONS, CONTENT_TYPE, FILE, form, part
from tests.support.data.corpus.forms import field as form_field
from tests.support.data.files import csv_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.clients.client import Client, Json
    from tests.support.data.corpus.files import BadFile, GoodFile
    from tests.support.data.corpus.forms import BadForm
    from tests.support.servers.services import Service, Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file and what is said about it."""

    content: bytes
    file_name: str = "users.csv"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    charset: str | None = None

    def send(self, client: Client) -> httpx2.Response:
        """The answer."""
        name = self.file_name.replace('"', '\\"').encode()
        top = b'Content-Disposition: form-data; name="uploadFile"; filename="' + name + b'"'
        if self.charset:
            top += b"\r\nContent-Type: text/csv; charset=" + self.charset.encode()
        return client.http.post(
            IMPORT,
            content=form(part(top, self.content)),
            headers={"Content-Type": CONTENT_TYPE, **self.headers},
        )


def as_uploaded(bad: BadFile) -> Upload:
    """The file, described as a client can describe it."""
    names = {",": "COMMA", ";": "SEMI_COLON", "|": "PIPE", "-": "HYPHEN"}
    delimiter = bad.described.get("delimiter")
    packing = PACKINGS.get(bad.described.get("compression", "none"))
    return Upload(
        content=bad.content,
        file_name=f"users.csv{packing.suffix}" if packing else "users.csv",
        headers={"DELIMITER": names[delimiter]} if delimiter else {},
        charset=bad.described.get("charset"),
    )


def assert_invalid(answer: Json, code: str, line: int | None, column: str | None) -> None:
    """Fail unless it is the contract's answer with this detail alone."""
    message = answer["details"][0]["message"]
    assert answer == {
        "message": INVALID,
        "code": "INVALID_REQUEST",
        "details": [{"line": line, "column": column, "code": code, "message": message}],
    }
    assert message.endswith(".")


@pytest.mark.parametrize("bad", BAD_FORMS, ids=lambda bad: bad.name)
def test_a_body_that_is_no_upload_form_is_refused(refusing: Client, bad: BadForm) -> None:
    """400 with the contract's message and the code of what is wrong."""
    top = head(refusing, f"Content-Length: {len(bad.body)}", content_type=bad.content_type)

    answer = raw(refusing, top, bad.body)

    assert status_of(answer) == 400
    assert_invalid(json_of(answer), bad.code, None, None)


@pytest.mark.parametrize(("name", "values"), BAD_OPTIONS)
def test_an_option_is_not_guessed(refusing: Client, name: str, values: tuple[bytes, ...]) -> None:
    """An unknown value, or several in one place, is refused before and after the file."""
    fields = [form_field(name, value) for value in values]
    for parts in ([*fields, FILE], [FILE, *fields]):
        answer = refusing.http.post(
            IMPORT, content=form(*parts), headers={"Content-Type": CONTENT_TYPE}
        )
        assert answer.status_code == 400
        assert_invalid(answer.json(), "INVALID_PARAMETER", None, name)


def test_of_three_delimiters_in_three_places_the_header_counts(client: Client) -> None:
    """The contract's order of precedence, where each says another."""
    answer = client.http.post(
        f"{IMPORT}?DELIMITER=SEMI_COLON",
        content=form(form_field("DELIMITER", b"COMMA"), part(_head("f.csv"), _PIPES)),
        headers={"Content-Type": CONTENT_TYPE, "DELIMITER": "PIPE"},
    )

    assert answer.status_code == 200


_PIPES = CSV.replace(b",", b"|")


def _head(file_name: str) -> bytes:
    return f'Content-Disposition: form-data; name="uploadFile"; filename="{file_name}"'.encode()


SENDABLE = [
    bad for bad in BAD_FILES if not bad.limits and "reconciliation_key" not in bad.described
]


@pytest.mark.parametrize("bad", SENDABLE, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_with_place_and_code(refusing: Client, bad: BadFile) -> None:
    """400 with the contract's message; line, column and code are exact.

    Of a header all that is wrong is told, and the first of it first.
    """
    answer = as_uploaded(bad).send(refusing)

    assert answer.status_code == 400
    found = answer.json()
    others = found["details"][1:]
    assert {each["line"] for each in others} <= {bad.line}
    assert_invalid(found | {"details": found["details"][:1]}, bad.code, bad.line, bad.column)


@pytest.mark.parametrize("good", GOOD_FILES, ids=lambda good: good.name)
def test_a_good_file_is_taken_as_it_is(client: Client, good: GoodFile) -> None:
    """200; the file in the log is the one sent, and each of its lines counts."""
    upload = Upload(
        content=good.content, file_name=good.file_name, headers={"DELIMITER": good.delimiter}
    )

    answer = upload.send(client)

    assert answer.status_code == 200, answer.text
    status = client.status(int(answer.json()["id"]))
    assert status["sha256"] == hashlib.sha256(good.content).hexdigest()
    assert (status["total"], status["fileName"], status["mode"]) == (
        len(good.cells),
        good.file_name,
        "insert",
    )


@pytest.mark.parametrize(
    ("name", "kept"),
    [(b"nul\0.csv", "nul\N{REPLACEMENT CHARACTER}.csv"), (b"\xff\x1b[31m.csv", None)],
)
def test_a_file_name_that_is_no_text_is_only_a_name(
    api: tuple[Service, Client], name: bytes, kept: str | None
) -> None:
    """The file is taken; what the name holds is never raw in the log."""
    service, client = api
    top = b'Content-Disposition: form-data; name="uploadFile"; filename="' + name + b'"'
    content = form(part(top, CSV))

    answer = raw(client, head(client, f"Content-Length: {len(content)}"), content)

    assert status_of(answer) == 200
    status = client.status(int(json_of(answer)["id"]))
    assert kept is None or status["fileName"] == kept
    assert not {"\0", "\x1b"} & set(service.log_text())


def test_a_file_that_gives_no_user_cannot_be_the_audience(refusing: Client) -> None:
    """A delsert without a valid line is refused, whatever is wrong with each of them."""
    content = csv_of({"Email": "no"}, {"Country": "USA"}, {"First Name": ""})

    answer = refusing.upload(content, "delsert")

    assert answer.status_code == 400
    assert_invalid(answer.json(), "NO_VALID_LINE", None, None)


def test_each_limit_has_its_answer(services: Services) -> None:
    """Limits that a small file reaches, by settings."""
    _, client = services.api(
        max_rows="3",
        max_cell_bytes="8192",
        max_columns="5",
        max_record_bytes="20000",
        max_unpacked_bytes="100000",
    )
    top, line = b"First Name,Last Name,Email,Country\n", b"Ada,Lovelace,a@b.cd,UK\n"
    cell = b"x" * 8000
    cases: dict[str, tuple[Upload, int, str | None]] = {
        "TOO_MANY_ROWS": (Upload(content=top + line * 4), 5, None),
        "CELL_TOO_LONG": (Upload(content=top + b"a," + b"x" * 8193 + b",b,c\n"), 2, "Last Name"),
        "TOO_MANY_COLUMNS": (Upload(content=top + b"a,b,c,d,e,f\n"), 2, None),
        "RECORD_TOO_LONG": (Upload(content=top + b",".join([cell] * 3) + b",d\n"), 2, None),
        "UNPACKED_TOO_LARGE": (
            Upload(content=gzip.compress(top + b"\n" * 500_000), file_name="bomb.csv.gz"),
            100_000 - len(top) + 2,
            None,
        ),
    }
    with client:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        for code, (upload, place, column) in cases.items():
            answer = upload.send(client)
            assert answer.status_code == 400
            assert_invalid(answer.json(), code, place, column)
        assert jobs(client) == 0
        assert Upload(content=top + line * 3).send(client).status_code == 200


def test_what_is_over_a_limit_is_answered_while_the_rest_still_comes(services: Services) -> None:
    """Also where a delimiter may still be named after the file."""
    service, client = services.api(max_rows="1000")

    def rows() -> Iterator[bytes]:
        yield b"First Name,Last Name,Email,Country\n"
        for _ in range(1000):
            yield b"a,b,a@b.co,c\n" * 50_000

    def one_line() -> Iterator[bytes]:
        yield b"First Name,Last Name,Email,Country\n"
        for _ in range(500):
            yield b"x" * 1_000_000

    with client:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        answers = [client.upload(rows()), client.upload(one_line())]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert_invalid(answers[0].json(), "TOO_MANY_ROWS", 1002, None)
    assert_invalid(answers[1].json(), "CELL_TOO_LONG", 2, "First Name")
    for answer in answers:
        (line,) = [
            line
            for line in service.log_text().splitlines()
            if answer.headers["X-Request-Id"] in line
        ]
        assert json.loads(line)["received_bytes"] < 65_000_000


def test_a_client_that_sends_a_byte_a_second_is_cut_off(refusing: Client) -> None:
    """408 at a deadline, however regularly bytes come: four seconds in this test."""
    url = httpx2.URL(refusing.url)
    content = body()
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head(refusing, f"Content-Length: {len(content)}").encode())
        connection.settimeout(1)
        answer = b""
        for byte in content:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(65536)
                break
            except TimeoutError:
                continue
    assert status_of(answer) == 408


def test_a_head_that_trickles_is_cut_off(client: Client) -> None:
    """After half a minute at most; others are answered meanwhile."""
    url = httpx2.URL(client.url)
    top = head(client, "Content-Length: 10").encode()[:-4]
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(top)
        connection.settimeout(1)
        started = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012 - any of the bytes may meet the end
            while time.monotonic() - started < 120:
                connection.sendall(b"\r\nX: y")
                assert client.is_live()
                try:
                    assert connection.recv(65536) == b""
                    raise ConnectionResetError
                except TimeoutError:
                    continue


MALFORMED_HEADS = (
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: \N{ARABIC-INDIC DIGIT FIVE}",
    "Content-Length : 5",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length: ",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nHost: elsewhere",
    "Transfer-Encoding: chunked\r\nX\x00Y: a",
    "Transfer-Encoding: chunked\r\nX: a\x00b",
    "Transfer-Encoding: chunked\r\nX Y: a",
    "Transfer-Encoding: chunked\r\n: a",
    "Transfer-Encoding: chunked\r\nno colon",
    "Transfer-Encoding: chunked\r\nX: a\rY: b",
)


@pytest.mark.parametrize("lines", MALFORMED_HEADS)
def test_what_another_server_refuses_is_refused_here(refusing: Client, lines: str) -> None:
    """h11 is as strict as the RFC: a head that it refuses gets 400 and no job."""
    top = head(refusing, *lines.split("\r\n"))
    other = h11.Connection(h11.SERVER)
    other.receive_data(top.encode())
    with pytest.raises(h11.RemoteProtocolError):
        other.next_event()

    answer = raw(refusing, top, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body()), body()))

    assert status_of(answer) == 400


def test_bare_line_feeds_in_a_head_are_read_as_by_h11(client: Client) -> None:
    """RFC 9112, 2.2, lets a server take one for a line end; what counts is that all do alike."""
    before = jobs(client)
    top = head(client, f"Content-Length: {len(body())}").replace("\r\n", "\n")
    other = h11.Connection(h11.SERVER)
    other.receive_data(top.encode())
    request = other.next_event()

    answer = raw(client, top, body())

    assert isinstance(request, h11.Request)
    assert (status_of(answer), jobs(client)) == (200, before + 1)
