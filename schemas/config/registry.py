"""The settings of the schema registry; apart from what needs the codec."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from schemas.config.declared import Section, named, secret, secret_in_address, text

_PREFIX: Final = "ROLLCALL_SCHEMA_REGISTRY_"


def _url_fault(url: str) -> str | None:
    parts = urlsplit(url)
    is_url = parts.scheme in ("http", "https") and parts.hostname
    return None if is_url else "is no URL that begins with http:// or https://."


def _user_info_fault(user_info: str) -> str | None:
    return None if ":" in user_info else "has no colon: it is user:password."


class SchemaRegistry(Section, frozen=True, kw_only=True, rename=named(_PREFIX)):
    """URL and credentials of a schema registry."""

    url: Annotated[
        str,
        secret_in_address(
            "a registry with Confluent's API; where it is set, values are written in the"
            " Confluent wire format",
            fault=_url_fault,
            also="SCHEMA_REGISTRY_URL",
        ),
    ] = ""
    user_info: Annotated[
        str, secret("`user:password` for the registry", fault=_user_info_fault)
    ] = msgspec.field(name=f"{_PREFIX}BASIC_AUTH_USER_INFO", default="")
    token: Annotated[str, secret("sent instead of user and password")] = msgspec.field(
        name=f"{_PREFIX}BEARER_AUTH_TOKEN", default=""
    )
    ca_location: Annotated[str | None, text("file of the authorities to trust, as PEM")] = (
        msgspec.field(name=f"{_PREFIX}SSL_CA_LOCATION", default=None)
    )
    certificate_location: Annotated[str | None, text("file of our own certificate, as PEM")] = (
        msgspec.field(name=f"{_PREFIX}SSL_CERTIFICATE_LOCATION", default=None)
    )
    key_location: Annotated[str | None, text("file of its key, as PEM")] = msgspec.field(
        name=f"{_PREFIX}SSL_KEY_LOCATION", default=None
    )

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "url", self.url.rstrip("/"))

    def is_given(self) -> bool:
        """True where a registry is set."""
        return bool(self.url)
