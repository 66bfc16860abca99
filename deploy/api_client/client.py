"""Sends requests to the HTTP API."""

import contextlib
import os
import ssl
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, Self, cast
from urllib.parse import quote, urlsplit

import httpx2

BASE_PATH = "/vpns/api/v1"

_TIMEOUT = httpx2.Timeout(30, read=600)
"""Seconds; an upload is answered after all of it was validated and stored."""
_EVENTS_TIMEOUT = httpx2.Timeout(30, read=20)
"""Seconds; an event stream that is silent for so long is requested again."""
_LONGEST_QUOTED_ANSWER = 200
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


class ApiError(Exception):
    """A request could not be sent, was not answered or was refused."""


class UnreachableError(ApiError):
    """No answer came; the same request may succeed later."""


class RefusedError(ApiError):
    """The API answered something other than success."""

    def __init__(
        self,
        status: int,
        message: str,
        retry_after_s: float | None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        """``answer`` is the whole body."""
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.answer = answer or {}


@dataclass(frozen=True, slots=True)
class Account:
    """Credentials: a name and a password."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Token:
    """Credentials: an API token or a JWT."""

    text: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A response that is read as it comes; ``total`` is its number of rows, if it says so."""

    pieces: Iterator[bytes]
    total: int | None


class ApiClient:
    """Calls the API with one account's credentials; a context manager.

    Paths are those below `/vpns/api/v1`. Every call raises ApiError where it does not succeed.
    """

    def __init__(self, url: str, credentials: Account | Token) -> None:
        is_local = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._url = url
        try:
            self._http = httpx2.Client(
                base_url=url,
                auth=_basic(credentials),
                headers=_bearer(credentials),
                timeout=_TIMEOUT,
                # A transport of our own leaves out the environment's proxy, which cannot reach
                # this machine's own address.
                transport=httpx2.HTTPTransport() if is_local else None,
            )
        except (OSError, ValueError, httpx2.InvalidURL) as error:
            fault = _setting_fault(error)
            if fault is None:
                raise
            raise ApiError(fault) from error

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._http.close()

    def is_ready(self) -> bool:
        """Return whether an upload would be accepted and processed."""
        try:
            return self._http.get("/health/ready").is_success
        except httpx2.RequestError:
            return False

    def is_let_in(self) -> bool:
        """Return whether the credentials are right.

        Raises:
            ApiError: the API could not be reached.
        """
        try:
            self.get("/batchinfo/status", {"pageSize": 1})
        except RefusedError as error:
            return error.status != HTTPStatus.UNAUTHORIZED
        return True

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the response to a GET; parameters that are None are left out."""
        return self.request("GET", path, params=_given(parameters))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the response to a POST with a JSON body, or without one."""
        return self.request("POST", path, json=body)

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response to a PUT with a JSON body."""
        return self.request("PUT", path, json=body)

    def request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Return the JSON response; the arguments are httpx2's."""
        with self._answer(method, path, **arguments) as response:
            response.read()
            answer = _object(response)
            if answer is None:
                raise self._of_another(_quoted(response) or "nothing")
            return answer

    def download(self, path: str, media_type: str, target: IO[bytes]) -> None:
        """Write a response of this media type to a file, as it comes."""
        with self._answer("GET", path, headers={"Accept": media_type}) as response:
            self._check_type(response, media_type)
            target.writelines(response.iter_bytes())

    @contextlib.contextmanager
    def stream(
        self, path: str, media_type: str, parameters: Mapping[str, Any] | None = None
    ) -> Generator[Incoming]:
        """Yield a response of this media type, which is read as it comes.

        A response that breaks off raises ApiError, too.
        """
        given = _given(parameters)
        accept = {"Accept": media_type}
        with self._answer("GET", path, headers=accept, params=given) as response:
            self._check_type(response, media_type)
            total = response.headers.get("X-Total-Count", "")
            yield Incoming(response.iter_bytes(), int(total) if total.isdecimal() else None)

    def events(self, path: str, parameters: Mapping[str, Any] | None = None) -> Iterator[str]:
        """Yield the data of each server-sent event, until the server ends the stream."""
        accept = {"Accept": "text/event-stream"}
        given = _given(parameters)
        with self._answer(
            "GET", path, headers=accept, params=given, timeout=_EVENTS_TIMEOUT
        ) as response:
            yield from event_data(response)

    @contextlib.contextmanager
    def _answer(self, method: str, path: str, **arguments: Any) -> Generator[httpx2.Response]:
        """Send a request; return a successful answer, whose body is still to be read."""
        for part in {".", ".."}.intersection(path.split("/")):
            # httpx2 would take it out, and ask for what another path names.
            raise ApiError(f"{part} can't be an id or a name")
        try:
            with self._http.stream(method, f"{BASE_PATH}{path}", **arguments) as response:
                if not response.is_success:
                    response.read()
                    raise _refused(response)
                yield response
        except httpx2.RequestError as error:
            raise _not_answered(self._url, error) from error

    def _check_type(self, response: httpx2.Response, media_type: str) -> None:
        found = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if found != media_type:
            raise self._of_another(f"{found or 'no media type'} where {media_type} was asked for")

    def _of_another(self, told: str) -> ApiError:
        """Return the error of an answer that the API never gives, as a proxy's page."""
        return ApiError(f"{self._url} is no Rollcall API: it answered {told}")


def _given(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (parameters or {}).items() if value is not None}


def path_of(*parts: str) -> str:
    """Return the path of these parts, each escaped."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def event_data(response: httpx2.Response) -> Iterator[str]:
    """Yield the data of each event of a stream, which none lacks (WHATWG HTML, 9.2.6)."""
    return (event.data for event in httpx2.EventSource(response) if event.data)


def refusal_text(status: int, answer: Mapping[str, Any]) -> str:
    """Return the API's message, with a line for each detail."""
    lines = [f"{status}: {answer.get('message', 'no message')}"]
    for detail in details_of(answer):
        where = [f"{name} {detail[name]}" for name in ("line", "column") if detail.get(name)]
        lines.append(": ".join([*where, str(detail.get("message"))]))
    return "\n  ".join(lines)


def details_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the details of a refusal; none where another server has something else there."""
    details = answer.get("details")
    if not isinstance(details, list):
        return []
    return [each for each in cast("list[Any]", details) if isinstance(each, dict)]


def _setting_fault(error: Exception) -> str | None:
    """Return which variable makes that no client can be made; None where none does."""
    if isinstance(error, OSError):
        path = os.environ.get("SSL_CERT_FILE")
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        return f"SSL_CERT_FILE names {path}, which can't be read: {reason}" if path else None
    names = " or ".join(name for name in os.environ if name.upper() in _PROXIES)
    return f"{names} can't be used: {error}" if names else None


def _basic(credentials: Account | Token) -> tuple[str, str] | None:
    return (credentials.user, credentials.password) if isinstance(credentials, Account) else None


def _bearer(credentials: Account | Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.text}"} if isinstance(credentials, Token) else {}


def _refused(response: httpx2.Response) -> RefusedError:
    answer = _object(response)
    if answer is None:
        answer = {"message": _quoted(response) or "no message"}
    text = refusal_text(response.status_code, answer)
    if response.has_redirect_location:
        text = f"{response.status_code}: the server is at {response.headers['Location']}"
    waits = response.headers.get("Retry-After", "")
    retry_after_s = float(waits) if waits.isdecimal() else None
    return RefusedError(response.status_code, text, retry_after_s, answer)


def _object(response: httpx2.Response) -> dict[str, Any] | None:
    """Return the JSON object that was answered; None for a proxy's page or another's answer."""
    try:
        answer: Any = response.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else None


def _quoted(response: httpx2.Response) -> str:
    return " ".join(response.text.split())[:_LONGEST_QUOTED_ANSWER]


def _not_answered(url: str, error: httpx2.RequestError) -> ApiError:
    fault = _tls_fault(error)
    if fault is not None:
        return ApiError(f"{url}: no trusted connection: {fault}")
    if isinstance(error, httpx2.DecodingError):
        return ApiError(f"{url} sent an answer whose Content-Encoding is broken: {error}")
    message = f"{url} could not be reached: {error or type(error).__name__}"
    never_helps = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)
    return ApiError(message) if isinstance(error, never_helps) else UnreachableError(message)


def _tls_fault(error: BaseException) -> str | None:
    """Return what is wrong with the server's TLS, or None where the error is another."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"{cause.verify_message.rstrip('.')}; "
            "SSL_CERT_FILE may name a file with the authority's certificate"
        )
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "the server does not speak TLS on this port; is it http://?"
    return None
