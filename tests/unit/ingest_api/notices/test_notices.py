"""Notices without a socket: where they may go, how they are signed, and what a mail says."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from ingest_api.notices.addresses import is_public
from ingest_api.notices.events import new_notice, of_alarm
from ingest_api.notices.http_post import signature
from ingest_api.notices.mail import message_of
from ingest_api.notices.routes import url_fault
from ingest_api.notices.settings import NoticeSettings
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from ingest_api.notices.events import Notice

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDp2ZMbLO3yDc="


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),  # noqa: S104 - not bound to
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1"),
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1"),
    ],
)
def test_a_private_address_is_none_for_a_request(address: str) -> None:
    """Nor one that leads to it."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_a_public_address_is_one(address: str) -> None:
    """Of either kind."""
    assert is_public(address)


def headers_of(notice: Notice) -> dict[str, str]:
    """What the notice is sent with now."""
    now_s = int(time.time())
    return {
        "webhook-id": notice.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(SECRET, notice, now_s),
    }


def test_the_library_of_standard_webhooks_verifies_a_notice() -> None:
    """With letters of any script in it."""
    notice = new_notice("job.completed", {"fileName": "Müller 名前.csv"})
    assert Webhook(SECRET).verify(notice.body, headers_of(notice)) == json.loads(notice.body)


def test_the_example_of_the_documents_verifies_a_notice() -> None:
    """And refuses one that was changed or is old."""
    text = (CHECKOUT / "docs" / "webhooks.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/webhooks.md", "exec"), names)  # noqa: S102 - our own document
    notice = new_notice("job.completed", {"jobId": "1"})
    headers, body = headers_of(notice), notice.body.encode()
    assert names["verified"](SECRET, headers, body)["data"] == {"jobId": "1"}
    for wrong in (
        {**headers, "webhook-id": "msg_other"},
        {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)},
    ):
        with pytest.raises(ValueError, match=r"signature|old"):
            names["verified"](SECRET, wrong, body)


@pytest.mark.parametrize("host", ["crm..example.org", ".example.org", "a" * 64 + ".example.org"])
def test_a_name_that_no_host_has_is_refused(host: str) -> None:
    """Looked up, it would be a fault of the text and not of the network."""
    assert url_fault(f"https://{host}/hook", NoticeSettings()) is not None


def test_a_mail_has_one_id_and_no_line_of_a_strangers() -> None:
    """Whatever a file is called."""
    data = {
        "jobId": "7",
        "fileName": "a\r\nBcc: all@example.org",
        "url": "https://x.example/#/jobs/7",
    }
    notice = new_notice("job.completed", data)
    mail = message_of(notice, "rollcall@example.org", "grace@example.com")
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Rollcall: a Bcc: all@example.org was imported"
    assert mail["Message-ID"] == f"<{notice.id}@example.org>"
    assert parsedate_to_datetime(mail["Date"])
    alarm = of_alarm("kafka", ["Kafka doesn't answer."], "https://x.example/")
    told = message_of(alarm, "rollcall@example.org", "grace@example.com")
    assert told["Subject"] == "Rollcall: kafka does not work"
    assert "https://x.example/#/operations/health" in told.get_content()


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-7?q?a+2AE-b?=.csv",  # a lone surrogate, for whoever decodes it
        "=?utf-8?b?eA0KQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KPGI+?=",  # lines, by base64
        "=\u200b?utf-8?q?x=0D=0ABcc:_all?=",
        "=?=?utf-8?q?x=0D=0ABcc:_all?=",
    ],
)
def test_a_file_called_like_an_encoded_header_is_only_called_so(name: str) -> None:
    """A header would hold what that encodes, with its line ends."""
    notice = new_notice("job.completed", {"jobId": "7", "fileName": name, "url": None})
    mail = message_of(notice, "rollcall@example.org", "grace@example.com")
    plain = message_of(
        new_notice("job.completed", {"jobId": "7", "fileName": "a.csv", "url": None}),
        "rollcall@example.org",
        "grace@example.com",
    )
    assert mail.keys() == plain.keys()
    assert mail["Subject"].startswith("Rollcall: = ?")
    assert len(bytes(mail).partition(b"\n\n")[0].splitlines()) < 16
    assert b"\nBcc" not in bytes(mail)


def test_http_is_for_private_networks_only() -> None:
    """Where they are allowed."""
    assert url_fault("http://crm.internal/hook", NoticeSettings()) is not None
    allowed = NoticeSettings(webhooks_allow_private="yes")
    assert url_fault("http://crm.internal/hook", allowed) is None
    assert url_fault("https://crm.example.org/hook", NoticeSettings()) is None
    mails = NoticeSettings(smtp_url="smtp://mail.example.org")
    assert url_fault("mailto:grace%40example.com", mails) is None
    assert url_fault("mailto:=?utf-8?q?a=0D=0A?=@example.com", mails) is not None
    assert "sends no mail" in (url_fault("mailto:grace@example.com", NoticeSettings()) or "")
