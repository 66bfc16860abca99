"""The settings of the commands that call the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.config.declared import Section, secret, text


def _text_fault(given: str) -> str | None:
    try:
        given.encode()
    except UnicodeEncodeError:
        return "is not UTF-8."
    return None


class ClientSettings(Section, frozen=True, kw_only=True):
    """Where the API is, and in whose name it is called."""

    url: Annotated[str, text("address of the HTTP API, where --url does not say it")] = (
        "http://127.0.0.1:8080"
    )
    user: Annotated[
        str, text("the account that calls; asked for where it is not set", fault=_text_fault)
    ] = ""
    password: Annotated[
        str, secret("its password; asked for where it is not set", fault=_text_fault)
    ] = ""
    token: Annotated[str, secret("an API token or JWT; it is used instead of the account")] = ""
    ssl_cert_file: Annotated[
        str, text("certificates of the authorities to trust, for https:// addresses")
    ] = msgspec.field(name="SSL_CERT_FILE", default="")
