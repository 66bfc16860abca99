"""Answers that are not the API's: a proxy's page, a damaged body, another server's refusal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import httpx2
import pytest

from deploy.api_client.client import ApiClient, ApiError, RefusedError, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = "http://127.0.0.1:1"
_PAGE = "<html>\n  Please log in</html>"


@pytest.fixture
def client() -> Iterator[ApiClient]:
    """A client that reaches nobody."""
    with ApiClient(_URL, Token("t")) as made:
        yield made


def _answer(monkeypatch: pytest.MonkeyPatch, response: httpx2.Response) -> None:
    def respond(*_: object) -> httpx2.Response:
        return response

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", respond)


@pytest.mark.parametrize(
    ("body", "told"), [(_PAGE, "<html> Please log in</html>"), ("[]", "[]"), ("", "nothing")]
)
def test_a_success_that_is_no_object_is_anothers(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    """A change is not taken for done because a proxy answers with its page."""
    _answer(monkeypatch, httpx2.Response(200, text=body))

    with pytest.raises(ApiError) as error:
        client.post("/audience", {})

    assert str(error.value) == f"{_URL} is no Rollcall API: it answered {told}"


def test_a_page_is_not_saved_as_the_file_that_was_asked_for(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media type says that it is another's, before anything is written."""
    told = f"{_URL} is no Rollcall API: it answered text/html where text/csv was asked for"
    file = io.BytesIO()

    _answer(monkeypatch, httpx2.Response(200, html=_PAGE))
    with pytest.raises(ApiError) as download:
        client.download("/batchinfo/errors/7", "text/csv", file)
    with pytest.raises(ApiError) as stream, client.stream("/audience/export", "text/csv"):
        pass

    assert (str(download.value), str(stream.value)) == (told, told)
    assert file.getvalue() == b""


def test_parameters_of_a_media_type_are_no_other_type(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API names the charset, too."""
    headers = {"Content-Type": "Text/CSV; charset=utf-8; header=present"}
    file = io.BytesIO()

    _answer(monkeypatch, httpx2.Response(200, headers=headers, content=b"Email\n"))
    client.download("/batchinfo/errors/7", "text/csv", file)

    assert file.getvalue() == b"Email\n"


@pytest.mark.parametrize("status", [200, 502])
def test_a_broken_content_encoding_is_told(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Of a success as of a refusal; a server that answers so is not ready."""
    headers = {"Content-Encoding": "gzip"}
    broken = httpx2.ByteStream(b"this is not gzip")

    _answer(monkeypatch, httpx2.Response(status, headers=headers, stream=broken))

    with pytest.raises(ApiError, match=f"^{_URL} sent an answer whose Content-Encoding is broken"):
        client.get("/audience")


@pytest.mark.parametrize("details", ["text", {"a": 1}, 7, ["text", None]])
def test_details_of_another_shape_are_left_out(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch, details: object
) -> None:
    """Another server's refusal has its message still."""
    _answer(monkeypatch, httpx2.Response(400, json={"message": "no", "details": details}))

    with pytest.raises(RefusedError) as error:
        client.get("/audience")

    assert str(error.value) == "400: no"


@pytest.mark.parametrize("path", ["/admin/presets/..", "/batchinfo/status/./events"])
def test_a_part_of_a_path_that_would_be_taken_out_is_refused(client: ApiClient, path: str) -> None:
    """With it the request would be for another path."""
    with pytest.raises(ApiError, match=r"can't be an id or a name$"):
        client.get(path)
