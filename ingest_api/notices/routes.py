"""The routes below ``/webhooks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

from ingest_api.auth.middleware import account_of
from ingest_api.errors import Detail, NotFoundError
from ingest_api.notices.events import TEST, new_notice
from ingest_api.notices.mail import MAILTO
from ingest_api.notices.operations import (
    ADD_WEBHOOK,
    CHANGE_WEBHOOK,
    DELETE_WEBHOOK,
    LIST_DELIVERIES,
    LIST_WEBHOOKS,
    REDELIVER,
    TEST_WEBHOOK,
    ChangedWebhook,
    DeliveryPage,
    NewWebhook,
    WebhookDone,
    WebhookMade,
    WebhookPage,
    delivery_shown,
    webhook_shown,
)
from ingest_api.notices.store import UNKNOWN_DELIVERY, UNKNOWN_WEBHOOK, WebhookChange
from ingest_api.openapi.described import described
from ingest_api.web.json_body import invalid_body, json_body
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import whole_number
from ingest_api.web.request_context import note_act

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.notices.operations import Webhook
    from ingest_api.notices.settings import NoticeSettings
    from ingest_api.notices.store import NoticeStore

_NO_URL: Final = "url is an https address without user and password, or mailto: and one address."
_NO_MAIL: Final = "This installation sends no mail: ROLLCALL_SMTP_URL is not set."


def add_webhook_routes(api: Blueprint, store: NoticeStore, settings: NoticeSettings) -> None:
    """Add the routes."""
    _add_changes(api, store, settings)
    _add_deliveries(api, store)


def _add_changes(api: Blueprint, store: NoticeStore, settings: NoticeSettings) -> None:
    @api.get("/webhooks")
    @described(LIST_WEBHOOKS)
    async def list_webhooks(request: Request[Any, Any]) -> WebhookPage:
        total, rows = await store.select_page(account_of(request), page_of(request))
        return WebhookPage(total, [webhook_shown(row) for row in rows])

    @api.post("/webhooks", stream=True)
    @described(ADD_WEBHOOK)
    async def add_webhook(request: Request[Any, Any]) -> WebhookMade:
        account, body = account_of(request), await json_body(request, NewWebhook)
        fault = url_fault(body.url, settings)
        if fault is not None:
            raise invalid_body(Detail("VALUE_INVALID", fault, column="url"))
        # Its path may be a secret of the receiver's.
        note_act(request, urlsplit(body.url).hostname or body.url)
        row = await store.add(account.name, body.url, body.events, own_jobs=body.own_jobs)
        note_act(request, webhook=row["id"])
        return WebhookMade(str(row["id"]), row["secret"], "Webhook added successfully")

    @api.put("/webhooks/<webhook_id:str>", stream=True)
    @described(CHANGE_WEBHOOK)
    async def change_webhook(request: Request[Any, Any], webhook_id: str) -> Webhook:
        body = await json_body(request, ChangedWebhook)
        change = WebhookChange(events=body.events, own_jobs=body.own_jobs, is_active=body.is_active)
        row = await store.change(account_of(request), _number(webhook_id), change)
        return webhook_shown(row)

    @api.route("/webhooks/<webhook_id:str>/delete", methods=["POST"], ignore_body=True)
    @described(DELETE_WEBHOOK)
    async def delete_webhook(request: Request[Any, Any], webhook_id: str) -> WebhookDone:
        number = _number(webhook_id)
        await store.delete(account_of(request), number)
        return WebhookDone(str(number), "Webhook deleted successfully")

    _ = list_webhooks, add_webhook, change_webhook, delete_webhook


def _add_deliveries(api: Blueprint, store: NoticeStore) -> None:
    @api.route("/webhooks/<webhook_id:str>/test", methods=["POST"], ignore_body=True)
    @described(TEST_WEBHOOK)
    async def test_webhook(request: Request[Any, Any], webhook_id: str) -> WebhookDone:
        account = account_of(request)
        notice = new_notice(TEST, {"requestedBy": account.name})
        delivery = await store.deliver_to(account, _number(webhook_id), notice)
        return WebhookDone(str(delivery), "A test notice is on its way")

    @api.get("/webhooks/<webhook_id:str>/deliveries")
    @described(LIST_DELIVERIES)
    async def list_deliveries(request: Request[Any, Any], webhook_id: str) -> DeliveryPage:
        total, rows = await store.select_deliveries(
            account_of(request), _number(webhook_id), page_of(request)
        )
        return DeliveryPage(total, [delivery_shown(row) for row in rows])

    @api.route(
        "/webhooks/<webhook_id:str>/deliveries/<delivery_id:str>/redeliver",
        methods=["POST"],
        ignore_body=True,
    )
    @described(REDELIVER)
    async def redeliver(
        request: Request[Any, Any], webhook_id: str, delivery_id: str
    ) -> WebhookDone:
        number = _number(webhook_id)
        delivery = _number(delivery_id, UNKNOWN_DELIVERY)
        await store.redeliver(account_of(request), number, delivery)
        return WebhookDone(str(delivery), "The notice is on its way once more")

    _ = test_webhook, list_deliveries, redeliver


def _number(text: str, unknown: str = UNKNOWN_WEBHOOK) -> int:
    number = whole_number(text)
    if number is None:
        raise NotFoundError(unknown)
    return number


def url_fault(url: str, settings: NoticeSettings) -> str | None:
    """Return why notices can't be sent there, or None where they can."""
    if url.startswith(MAILTO):
        return _mail_fault(unquote(url.removeprefix(MAILTO)), settings)
    schemes = ("https", "http") if settings.webhooks_allow_private == "yes" else ("https",)
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:
        return _NO_URL
    is_good = parts.scheme in schemes and parts.hostname and "@" not in parts.netloc
    return None if is_good and url.isascii() and url.isprintable() and " " not in url else _NO_URL


def _mail_fault(address: str, settings: NoticeSettings) -> str | None:
    if not settings.smtp_url:
        return _NO_MAIL
    try:
        validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        return f"url holds no address of mail: {error}"
    return _NO_URL if "=?" in address else None  # a header would take it for encoded
