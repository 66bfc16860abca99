"""The settings of notices: where links lead, how mail is sent, and whom requests may go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from schemas.config.declared import Section, secret_in_address, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SMTP: Final = {"smtp", "smtps"}


def _smtp_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in _SMTP and parts.hostname:
        return None
    return "is no URL such as smtp://user:password@mail.example.org:587"


def _public_url_fault(url: str) -> str | None:
    if url.startswith(("https://", "http://")):
        return None
    return f"is {url!r}, which is no address such as https://rollcall.example.org"


class NoticeSettings(Section, frozen=True, kw_only=True):
    """What notices need."""

    public_url: Annotated[
        str,
        text(
            "address at which people reach this API, for links to jobs in notices",
            fault=_public_url_fault,
        ),
    ] = ""
    smtp_url: Annotated[
        str,
        secret_in_address(
            "server that sends notices as mail: smtp://, which is encrypted where the server can"
            " and always before a password, or smtps://; without it there is no mail",
            fault=_smtp_fault,
        ),
    ] = ""
    smtp_sender: Annotated[str, text("address that mail is sent from")] = ""
    webhooks_allow_private: Annotated[
        Literal["no", "yes"],
        text("whether webhooks may be http, and at addresses of private networks and this host"),
    ] = "no"

    def faults(self) -> Iterator[str]:
        """Mail needs a sender."""
        if self.smtp_url and not self.smtp_sender:
            yield "ROLLCALL_SMTP_SENDER is not set: ROLLCALL_SMTP_URL needs it."
