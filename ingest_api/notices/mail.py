"""Sends a notice as mail."""

from __future__ import annotations

import json
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

from ingest_api.notices.http_post import Answer

if TYPE_CHECKING:
    from ingest_api.notices.events import Notice

MAILTO: Final = "mailto:"
_WITHIN_S: Final = 15.0
_SUBJECTS: Final = {
    "job.completed": "was imported",
    "job.completed_with_errors": "was imported, but for some lines",
    "job.failed": "failed, and nothing of it counts",
    "job.cancelled": "was cancelled",
    "job.undone": "was undone",
}


def message_of(notice: Notice, sender: str, receiver: str) -> EmailMessage:
    """Return the mail that tells the notice; its id is that of the mail at each try."""
    body: dict[str, Any] = json.loads(notice.body)
    data = body["data"]
    message = EmailMessage()
    message["From"], message["To"] = sender, receiver
    message["Subject"] = f"Rollcall: {_subject(notice.type, data)}"
    message["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"
    message["Date"] = format_datetime(datetime.fromisoformat(body["timestamp"]))
    message["Auto-Submitted"] = "auto-generated"
    lines = [f"{name}: {_shown(value)}" for name, value in data.items() if name != "url"]
    message.set_content("\n".join([*lines, "", data.get("url") or ""]).rstrip() + "\n")
    return message


def _subject(kind: str, data: dict[str, Any]) -> str:
    if kind in _SUBJECTS:
        name = _harmless(data["fileName"] or f"job {data['jobId']}")
        return f"{name} {_SUBJECTS[kind]}"
    if "component" not in data:
        return "a test"
    return f"{data['component']} {'does not work' if data['reasons'] else 'works again'}"


def _harmless(name: str) -> str:
    """Return a stranger's text as one that a header means literally.

    Of ``=?…?=`` (RFC 2047) a header is made to hold what it encodes, line ends included.
    """
    printable = "".join(each if each.isprintable() else " " for each in name)
    return " ".join(printable.replace("=?", "= ?").split())


def _shown(value: object) -> str:
    return " ".join(cast("list[str]", value)) if isinstance(value, list) else str(value)


def send(url: str, sender: str, receiver: str, notice: Notice) -> Answer:
    """Hand the mail to the server of the URL; blocks. What goes wrong is an answer, too."""
    message = message_of(notice, sender, receiver)
    try:
        with _connected(url) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        status = getattr(error, "smtp_code", None)
        return Answer(is_taken=False, status=status, text=str(error) or type(error).__name__)
    return Answer(is_taken=True, status=None, text="taken by the mail server")


def _connected(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host, context = parts.hostname or "", ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, parts.port or 465, timeout=_WITHIN_S, context=context
        )
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=_WITHIN_S)
        server.ehlo()
        # A password is never sent in the clear: a server that can't encrypt raises here.
        if parts.username or server.has_extn("starttls"):
            server.starttls(context=context)
    if parts.username:
        server.login(unquote(parts.username), unquote(parts.password or ""))
    return server
