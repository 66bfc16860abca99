"""Where a schema registry is: settings that both sides share, apart from what needs the codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from schemas.config.settings import EnvironmentReader

_PREFIX: Final = "ROLLCALL_SCHEMA_REGISTRY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRegistry:
    """Where a registry is and how to be let in; see :func:`read_schema_registry`."""

    url: str = field(repr=False)
    user_info: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca_location: str | None = None
    certificate_location: str | None = None
    key_location: str | None = None


def read_schema_registry(read: EnvironmentReader) -> SchemaRegistry | None:
    """The registry's settings, None where there is none.

    ==================================================  =====  ================================
    ROLLCALL_SCHEMA_REGISTRY_URL                        none   or SCHEMA_REGISTRY_URL; http(s)
    ROLLCALL_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO       none   user:password
    ROLLCALL_SCHEMA_REGISTRY_BEARER_AUTH_TOKEN          none   sent instead of user and password
    ROLLCALL_SCHEMA_REGISTRY_SSL_CA_LOCATION            none   file of CAs to trust, as PEM
    ROLLCALL_SCHEMA_REGISTRY_SSL_CERTIFICATE_LOCATION   none   our own certificate, as PEM
    ROLLCALL_SCHEMA_REGISTRY_SSL_KEY_LOCATION           none   its key
    ==================================================  =====  ================================
    """
    url = read.text(f"{_PREFIX}URL", "") or read.text("SCHEMA_REGISTRY_URL", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        read.note(f"{_PREFIX}URL is no URL that begins with http:// or https://.")

    def optional(name: str) -> str | None:
        return read.text(f"{_PREFIX}{name}", "") or None

    user_info = optional("BASIC_AUTH_USER_INFO")
    if user_info is not None and ":" not in user_info:
        read.note(f"{_PREFIX}BASIC_AUTH_USER_INFO has no colon: it is user:password.")
    return SchemaRegistry(
        url=url.rstrip("/"),
        user_info=user_info,
        token=optional("BEARER_AUTH_TOKEN"),
        ca_location=optional("SSL_CA_LOCATION"),
        certificate_location=optional("SSL_CERTIFICATE_LOCATION"),
        key_location=optional("SSL_KEY_LOCATION"),
    )
