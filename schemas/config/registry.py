"""Where a schema registry is: settings that both sides share, apart from what needs the codec."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from schemas.config.declared import Section, named, secret, secret_in_address, text


def _url_fault(url: str) -> str | None:
    parts = urlsplit(url)
    is_url = parts.scheme in ("http", "https") and parts.hostname
    return None if is_url else "is no URL that begins with http:// or https://."


def _user_info_fault(user_info: str) -> str | None:
    return None if ":" in user_info else "has no colon: it is user:password."


class SchemaRegistry(Section, frozen=True, kw_only=True, rename=named("ROLLCALL_SCHEMA_REGISTRY_")):
    """Where a registry is and how to be let in."""

    url: Annotated[
        str,
        secret_in_address(
            "a registry with Confluent's API; where it is set, values are written in the"
            " Confluent wire format",
            fault=_url_fault,
            also="SCHEMA_REGISTRY_URL",
        ),
    ] = ""
    basic_auth_user_info: Annotated[
        str, secret("`user:password` for the registry", fault=_user_info_fault)
    ] = ""
    bearer_auth_token: Annotated[str, secret("sent instead of user and password")] = ""
    ssl_ca_location: Annotated[str, text("file of the authorities to trust, as PEM")] = ""
    ssl_certificate_location: Annotated[str, text("file of our own certificate, as PEM")] = ""
    ssl_key_location: Annotated[str, text("file of its key, as PEM")] = ""

    def is_given(self) -> bool:
        """Whether there is a registry."""
        return bool(self.url)
