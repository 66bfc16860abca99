"""The settings of the API process."""

from __future__ import annotations

import re
from typing import Annotated, Final

from ingest_api.auth.settings import AuthSettings
from ingest_api.imports.default_limits import DelsertLimits
from ingest_api.notices.settings import NoticeSettings
from ingest_api.parsing.file_format import Limits
from schemas.config.declared import Section, text, whole
from schemas.config.settings import Settings

_ORIGIN: Final = re.compile(r"https?://[^/?#\s]+")


def origins_of(text: str) -> list[str]:
    """Return the origins of the setting, as browsers send them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def origins_fault(text: str) -> str | None:
    """Return what is wrong with the setting, as the end of a sentence that begins with its name."""
    wrong = [each for each in origins_of(text) if each != "*" and not _ORIGIN.fullmatch(each)]
    if not wrong:
        return None
    return f"has {wrong[0]!r}, which is no origin such as https://crm.example.org, without a path"


class ApiSettings(Section, frozen=True, kw_only=True):
    """The settings of one API process."""

    shared: Settings
    host: Annotated[str, text("address that the API listens on")] = "127.0.0.1"
    port: Annotated[int, whole(1, 65_535, "TCP port that the API listens on")] = 8080
    max_upload_bytes: Annotated[
        int | None,
        whole(0, 10**15, "of an upload's body, 0 for no limit; over it: 413", unit="bytes"),
    ] = None
    body_idle_timeout_s: Annotated[
        int, whole(1, 3600, "without a byte of an upload; then 408", unit="seconds")
    ] = 30
    body_deadline_s: Annotated[
        int, whole(1, 86_400, "for a whole upload's body; then 408", unit="seconds")
    ] = 3600
    uploads_at_once: Annotated[
        int, whole(1, 1000, "of all accounts, about 20 MB of memory each; the next: 503")
    ] = 64
    uploads_per_account: Annotated[
        int, whole(1, 1000, "of one account; the next: 429 with Retry-After")
    ] = 64
    write_timeout_s: Annotated[
        int,
        whole(1, 60, "that the write of one user waits to be projected; then 503", unit="seconds"),
    ] = 10
    event_streams: Annotated[
        int, whole(1, 3000, "of job statuses, open at once; the next: 503")
    ] = 500
    watched_folder: Annotated[
        str, text("folder of Kafka's or Postgres' data here; readiness tells when its disk is full")
    ] = ""
    cors_origins: Annotated[
        str,
        text(
            "origins whose pages may call the API from a browser, between commas, as"
            " `https://crm.example.org`; `*` for any; never with cookies",
            fault=origins_fault,
        ),
    ] = ""
    auth: AuthSettings
    notices: NoticeSettings
    limits: Limits
    delsert: DelsertLimits
