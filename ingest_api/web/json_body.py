"""Reads the JSON body of a request as a value of its type.

A route that takes one is registered with ``stream=True``: otherwise the framework
reads the body itself, of any size and before the request is authenticated.
"""

from __future__ import annotations

import asyncio
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ingest_api.errors import Detail, InvalidRequestError, TooSlowError
from ingest_api.web.body import BodyLimits, body_pieces, check_coding, check_declared
from ingest_api.web.parameters import header
from ingest_api.web.refused import Refused
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from sanic import Request

INVALID_BODY: Final = "Invalid request body"
LIMITS: Final = BodyLimits(most_bytes=64 * 1024, idle_s=10)
_DEADLINE_S: Final = 30
_MEDIA_TYPE: Final = re.compile(
    r"application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE
)
_AT_PLACE: Final = re.compile(r"(?s)(?P<what>.*?)(?: - at `\$\.?(?P<place>.*)`)?")
_FIELD: Final = re.compile(
    r"Object (?P<kind>missing required|contains unknown) field `(.*)`", re.DOTALL
)
_NAMED_TYPE: Final = re.compile(r"\b(str|int|bool|float)\b(?=[^`]*`)")
_JSON_NAMES: Final = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
_Body = TypeVar("_Body", bound=msgspec.Struct)


class JsonBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Base of the types of request bodies: names in camel case, unknown ones are refused."""


async def json_body(request: Request[Any, Any], kind: type[_Body]) -> _Body:
    """Read the request's body, JSON in UTF-8, as a value of this type.

    Raises:
        Refused: 415 where it says to be something else, 413 over 64 KiB.
        TooSlowError: it doesn't come in time.
        InvalidRequestError: it is cut off, no JSON, or no such value; the field is named.
    """
    check_json(request)
    return decoded(await whole_body(request), kind)


async def whole_body(request: Request[Any, Any]) -> bytes:
    """Read the bytes of the request's body.

    Raises:
        Refused: 413 over 64 KiB.
        TooSlowError: it doesn't come in time.
        InvalidRequestError: it is cut off.
    """
    check_declared(request, LIMITS)
    body = bytearray()
    try:
        async with asyncio.timeout(_DEADLINE_S):
            async for piece in body_pieces(request, LIMITS, refuse=invalid_body):
                body += piece
    except TimeoutError:
        raise TooSlowError(f"The body took longer than {_DEADLINE_S} s") from None
    return bytes(body)


def decoded(body: bytes, kind: type[_Body]) -> _Body:
    """Decode the bytes as a value of this type.

    Raises:
        InvalidRequestError: naming the field where one is wrong.
    """
    try:
        return _decoder(kind).decode(body.decode())
    except msgspec.ValidationError as error:
        raise invalid_body(_detail(str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise invalid_body(
            Detail("JSON_INVALID", f"The body is no JSON in UTF-8: {text}.")
        ) from None


@cache
def _decoder(kind: type[_Body]) -> msgspec.json.Decoder[_Body]:
    return msgspec.json.Decoder(kind)


def check_json(request: Request[Any, Any]) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        Refused: 415, it isn't.
    """
    check_coding(request)
    if not _MEDIA_TYPE.fullmatch((header(request, "content-type") or "").strip()):
        raise Refused(415, "The body of this request must be application/json in UTF-8")


def invalid_body(detail: Detail) -> InvalidRequestError:
    """Return the error of a body that is not what it may be."""
    return InvalidRequestError(INVALID_BODY, [detail])


def _detail(error: str, kind: type[msgspec.Struct]) -> Detail:
    """Return msgspec's message about a value of this type as a detail of the answer."""
    found = _AT_PLACE.fullmatch(error)
    assert found is not None, "everything matches"
    what, place = found["what"], (found["place"] or "").removesuffix("[...]")
    about = _FIELD.fullmatch(what)
    if about is None:
        message = _NAMED_TYPE.sub(lambda name: _JSON_NAMES[name[0]], what)
        return Detail("VALUE_INVALID", f"{message}.", column=place or None)
    column = f"{place}.{about[2]}" if place else about[2]
    if about["kind"] == "missing required":
        return Detail("REQUIRED", f"{column} is required.", column=column)
    known = [] if place else [field.encode_name for field in msgspec.structs.fields(kind)]
    meant = question(nearest(about[2], known)) or "."
    return Detail("UNKNOWN_FIELD", f"There is no field {column} here{meant}", column=column)
