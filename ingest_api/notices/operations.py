"""The OpenAPI operations of webhooks, and what they take and answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.notices.events import EVENT_TYPES, EventType
from ingest_api.notices.store import TOO_MANY_WEBHOOKS, UNKNOWN_DELIVERY, UNKNOWN_WEBHOOK
from ingest_api.openapi.operation import (
    JSON,
    Operation,
    answer,
    page_parameters,
    path_parameter,
    refused,
)
from ingest_api.openapi.response_types import Count, Date
from ingest_api.web.dates import date_text, optional_date_text
from ingest_api.web.json_body import INVALID_BODY, JsonBody

if TYPE_CHECKING:
    from collections.abc import Mapping

Events = Annotated[
    list[EventType],
    Meta(
        min_length=1,
        max_length=20,
        description="Of what it is told: how a job ended, or that a component of the service has "
        "not worked for a minute (`alarm.raised`), or works again (`alarm.cleared`).",
    ),
]
_OWN: Final = Meta(description="Of jobs only of those that its account has imported.")
DeliveryState = Literal["pending", "delivered", "failed"]


class NewWebhook(JsonBody, frozen=True, kw_only=True):
    """A webhook to be made."""

    url: Annotated[
        str,
        Meta(
            max_length=500,
            description="Where notices are posted to, by https; or `mailto:` and one address.",
        ),
    ]
    events: Events = msgspec.field(default_factory=lambda: [*EVENT_TYPES])
    own_jobs: Annotated[bool, _OWN] = False


class ChangedWebhook(JsonBody, frozen=True, kw_only=True):
    """What is to change of a webhook."""

    events: Events | None = None
    own_jobs: Annotated[bool | None, _OWN] = None
    is_active: Annotated[
        bool | None,
        Meta(description="Ended by an answer 410; of one that is not active nothing is noted."),
    ] = None


class Webhook(msgspec.Struct, frozen=True, rename="camel"):
    """A webhook."""

    id: str
    url: str
    events: list[str]
    own_jobs: bool
    is_active: bool
    owner: Annotated[str, Meta(description="The account that made it; it goes with the account.")]
    created_date: Date


class WebhookMade(msgspec.Struct, frozen=True, rename="camel"):
    """A webhook that has been made."""

    id: str
    secret: Annotated[str, Meta(description="That its requests are signed with; shown this once.")]
    message: str


class WebhookPage(msgspec.Struct, frozen=True):
    """A page of webhooks, the oldest first."""

    total: Count
    webhooks: list[Webhook]


class WebhookDone(msgspec.Struct, frozen=True, rename="camel"):
    """What was done."""

    id: str
    message: str


class Delivery(msgspec.Struct, frozen=True, rename="camel"):
    """A notice on its way to a webhook."""

    id: str
    notice_id: Annotated[str, Meta(description="The header `webhook-id`, the same at each try.")]
    type: str
    date: Annotated[Date, Meta(description="Of what it tells.")]
    state: Annotated[
        DeliveryState, Meta(description="`failed` where it was given up; it can be redelivered.")
    ]
    attempts: Count
    tried_date: str | None
    next_try_date: str | None
    status: Annotated[int | None, Meta(description="Of the last answer, if there was one.")]
    answer: Annotated[
        str | None, Meta(description="How the last answer begins, or why there was none.")
    ]


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries, the newest first."""

    total: Count
    deliveries: list[Delivery]


def webhook_shown(row: Mapping[str, Any]) -> Webhook:
    """Return the answer that a row of the table is."""
    return Webhook(
        id=str(row["id"]),
        url=row["url"],
        events=row["events"],
        own_jobs=row["own_jobs"],
        is_active=row["is_active"],
        owner=row["owner"],
        created_date=date_text(row["created_at"]),
    )


def delivery_shown(row: Mapping[str, Any]) -> Delivery:
    """Return the answer that a row of the table is."""
    ended: DeliveryState = "delivered" if row["delivered_at"] else "failed"
    return Delivery(
        id=str(row["id"]),
        notice_id=row["notice_id"],
        type=row["type"],
        date=date_text(row["created_at"]),
        state=ended if row["due_at"] is None else "pending",
        attempts=row["attempts"],
        tried_date=optional_date_text(row["tried_at"]),
        next_try_date=optional_date_text(row["due_at"]),
        status=row["status"],
        answer=row["answer"],
    )


_of_webhooks: Final = partial(Operation, tag="Webhooks", role="importer")
_ID: Final = path_parameter("webhook_id", "Of the webhook.", example="3")
_DELIVERY_ID: Final = path_parameter("delivery_id", "Of the delivery.", example="12")
_UNKNOWN: Final = {404: refused("There is no such webhook of this account.", UNKNOWN_WEBHOOK)}
_INVALID: Final = {400: refused(INVALID_BODY)}

LIST_WEBHOOKS: Final = _of_webhooks(
    summary="Webhooks of this account",
    description="An administrator sees those of all accounts.",
    parameters=page_parameters(),
    answers={200: answer("A page of webhooks, the oldest first.", WebhookPage)},
)
ADD_WEBHOOK: Final = _of_webhooks(
    summary="Be told of jobs and alarms",
    act="webhook.add",
    description=(
        "Notices are posted as Standard Webhooks has it (https://www.standardwebhooks.com): with "
        "the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, tried again for "
        "three days until they are answered with 2xx, at least once. "
        "No redirect is followed, and no request goes to an address of a private network, unless "
        "`ROLLCALL_WEBHOOKS_ALLOW_PRIVATE` is set. With `mailto:` the notice is sent as mail."
    ),
    body={JSON: NewWebhook},
    answers={
        200: answer("It is told from now on.", WebhookMade),
        **_INVALID,
        409: refused(TOO_MANY_WEBHOOKS),
    },
)
CHANGE_WEBHOOK: Final = _of_webhooks(
    summary="Change of what a webhook is told",
    act="webhook.change",
    parameters=(_ID,),
    body={JSON: ChangedWebhook},
    answers={200: answer("The webhook.", Webhook), **_INVALID, **_UNKNOWN},
)
DELETE_WEBHOOK: Final = _of_webhooks(
    summary="Delete a webhook",
    act="webhook.delete",
    parameters=(_ID,),
    answers={200: answer("Nothing more is sent to it.", WebhookDone), **_UNKNOWN},
)
TEST_WEBHOOK: Final = _of_webhooks(
    summary="Send a notice to try a webhook",
    act="webhook.test",
    description="Of the type `webhook.test`; its `id` is that of the delivery.",
    parameters=(_ID,),
    answers={200: answer("It is on its way.", WebhookDone), **_UNKNOWN},
)
LIST_DELIVERIES: Final = _of_webhooks(
    summary="What was sent to a webhook, and how it answered",
    description="Kept for thirty days.",
    parameters=(_ID, *page_parameters()),
    answers={200: answer("A page of deliveries, the newest first.", DeliveryPage), **_UNKNOWN},
)
REDELIVER: Final = _of_webhooks(
    summary="Deliver a notice once more",
    act="webhook.redeliver",
    parameters=(_ID, _DELIVERY_ID),
    answers={
        200: answer("It is tried at once, under the id that it had.", WebhookDone),
        404: refused("There is no such delivery of this account.", UNKNOWN_DELIVERY),
    },
)
