"""Add, change and delete single users by events in the log, answered when projected.

An event goes straight to the partition of its key, and the request waits for
its outcome (:mod:`ingest_api.users.write_outcomes`).
Its place in the order of all events is that of its record: it waits for no job,
so what an upload that was answered before still has on its way comes after it.
While a delsert runs, the event is of the new audience where its partition has
reached the delsert, and a user added there is answered once that audience is shown.

The time, the day and the event's id are set here, once.
With an ``Idempotency-Key`` the id is derived from account, key and request, so a
retry gets the outcome that the first attempt had, and where that is not known
yet, sends the same event again, which the projection knows as a repeat.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ingest_api.attributes.queries import select_attributes
from ingest_api.errors import (
    ConflictError,
    Detail,
    InvalidRequestError,
    LogUnavailableError,
    StoreUnavailableError,
    UnavailableError,
    UnknownUserError,
)
from ingest_api.event_log.user_events import NOTHING_KEPT, NotAppendedError
from ingest_api.users.body import (
    INVALID_USER,
    ValidationContext,
    changed_user,
    new_user,
    texts_of_body,
)
from schemas.events import UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from schemas.rules.attributes import is_attribute, key_field
from schemas.rules.fields import FIELDS, KEY_EXISTS, KEY_FIELD, NO_SUCH_USER

if TYPE_CHECKING:
    from ingest_api.event_log.user_events import UserLog
    from ingest_api.postgres.pool import Database
    from ingest_api.users.body import UserBody, UserFields
    from ingest_api.users.write_outcomes import WriteOutcome, WriteOutcomes
    from schemas.events import RowMode
    from schemas.rules.fields import Field

KEY_CHANGED: Final = "KEY_CHANGED"
_HASH_CHARACTERS: Final = 32
_IN_LOG: Final = (
    "The write is in the log and will be applied, but it was not within {timeout_s} s:"
    " do not send it as another request; with the same Idempotency-Key it gets its outcome"
)
_UNKNOWN: Final = (
    "Kafka did not confirm the write in time, so it is not known whether it will be applied:"
    " look whether it was before you try again, or send it with the same Idempotency-Key"
)
_OTHER_CONTENT: Final = "This Idempotency-Key was used for another request"


@dataclass(frozen=True, slots=True)
class Sender:
    """The account that sends a write, and its ``Idempotency-Key``, if any."""

    account: str
    idempotency_key: str | None

    def event_id(self, *request: object) -> str:
        """Return the id of the request's event: a random one without a key.

        The ids of one key have the same prefix; the rest is a hash of the request's content.
        """
        if self.idempotency_key is None:
            return secrets.token_hex(_HASH_CHARACTERS)
        content = msgspec.json.encode(request, order="sorted")
        return self._prefix() + hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]

    def event_ids(self) -> tuple[str, str]:
        """Return the first and the last id that an event of this key may have."""
        prefix = self._prefix()
        return prefix + "0" * _HASH_CHARACTERS, prefix + "f" * _HASH_CHARACTERS

    def _prefix(self) -> str:
        text = f"{self.account}\0{self.idempotency_key}".encode()
        return hashlib.sha256(text).hexdigest()[:_HASH_CHARACTERS]


class UserWrites:
    """Writes single users for one API process."""

    def __init__(
        self,
        database: Database,
        outcomes: WriteOutcomes,
        log: UserLog,
        *,
        reconciliation_key: str,
        timeout_s: float,
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._log = log
        self._reconciliation_key = reconciliation_key
        self._timeout_s = timeout_s
        self._in_log = _IN_LOG.format(timeout_s=f"{timeout_s:g}")

    async def create(self, body: UserBody, sender: Sender) -> int:
        """Add a user; return its id once readers see it.

        Raises:
            InvalidRequestError: a field breaks its rule or the key is another user's.
            ConflictError: the Idempotency-Key belongs to another request.
            UnavailableError: it is not known whether or when the user will be there.
        """
        event_id = sender.event_id("create", body)
        outcome = await self._outcome_before(sender, event_id)
        if outcome is None:
            context = await self._validation_context(body)
            fields = new_user(texts_of_body(body, context), context)
            event = _event("insert", event_id, fields)
            outcome = await self._write(event)
        _raise_rejected(outcome)
        assert outcome.user_id is not None, "what was inserted has an id"
        return outcome.user_id

    async def modify(self, user_id: int, body: UserBody, sender: Sender) -> None:
        """Set the fields of the body; return once readers see them. The other fields stay.

        Raises:
            IngestError: as for :meth:`create`.
            InvalidRequestError: there is no such user, or the change would make it another user by
                the reconciliation key.
        """
        event_id = sender.event_id("modify", user_id, body)
        outcome = await self._outcome_before(sender, event_id)
        if outcome is None:
            user = await self._user(user_id)
            context = await self._validation_context(body)
            given = texts_of_body(body, context)
            if not given:
                return
            fields = changed_user(given, _present_texts(user, context), context)
            if fields.key != user["key"]:
                raise _key_changed(context.key_field)
            event = _event("upsert", event_id, fields, user_id=user_id)
            outcome = await self._write(event)
        _raise_rejected(outcome)

    async def delete(self, user_id: int, sender: Sender) -> None:
        """Delete the user; return once readers no longer see it.

        Raises:
            InvalidRequestError: there is no such user, else as for :meth:`create`.
        """
        event_id = sender.event_id("delete", user_id)
        outcome = await self._outcome_before(sender, event_id)
        if outcome is None:
            user = await self._user(user_id)
            event = UserRow(
                mode="delete",
                event_id=event_id,
                key=user["key"],
                present=0,
                occurred_at=datetime.now(UTC),
                source=API_SOURCE,
                user_id=user_id,
            )
            outcome = await self._write(event)
        _raise_rejected(outcome)

    async def _outcome_before(self, sender: Sender, event_id: str) -> WriteOutcome | None:
        """Return the outcome of an earlier attempt with the same Idempotency-Key, if known.

        Waits until readers see it.
        """
        if sender.idempotency_key is None:
            return None
        found = await self._outcomes.fetch_first(*sender.event_ids())
        if found is not None and found.event_id != event_id:
            raise ConflictError(_OTHER_CONTENT)
        if found is None or found.is_shown:
            return found
        until_s = time.monotonic() + self._timeout_s
        with self._outcomes.expected(event_id) as outcome:
            await _wait(outcome, until_s)
            if outcome.done():
                return outcome.result()
        raise UnavailableError(self._in_log, event_id=event_id)

    async def _write(self, event: UserRow) -> WriteOutcome:
        assert event.event_id is not None, "every event of ours has an id"
        until_s = time.monotonic() + self._timeout_s
        if not self._outcomes.is_listening:
            raise StoreUnavailableError("nobody tells of outcomes")
        await self._log.check()
        key = event.key.encode()
        with self._outcomes.expected(event.event_id) as outcome:
            is_in_log = True
            try:
                await self._log.append(event, key, partition_of(key, self._log.partitions))
            except NotAppendedError:
                raise UnavailableError(NOTHING_KEPT) from None
            except LogUnavailableError:
                is_in_log = False  # where it is all the same, its outcome comes
            await _wait(outcome, until_s)
            if outcome.done():
                return outcome.result()
        raise UnavailableError(self._in_log if is_in_log else _UNKNOWN, event_id=event.event_id)

    _SELECT_USER: Final = """
    SELECT key, first_name, last_name, email, mobile_number, country, state, last_active_date,
           sms_subscription, email_subscription, voice_subscription, attributes
    FROM public.users
    WHERE id = %s
    """

    async def _user(self, user_id: int) -> dict[str, Any]:
        rows = await self._database.select_projected(self._SELECT_USER, (user_id,))
        if not rows:
            raise UnknownUserError
        return rows[0]

    async def _validation_context(self, body: UserBody) -> ValidationContext:
        are_needed = body.attributes or self._reconciliation_key not in KEY_FIELD
        attributes = await select_attributes(self._database) if are_needed else ()
        a_field = key_field(self._reconciliation_key, attributes)
        if a_field is None:
            raise UnavailableError(
                f"The attribute {self._reconciliation_key}, which is this server's reconciliation"
                " key, is not defined yet: nothing was kept"
            )
        by_name = {attribute.name: attribute for attribute in attributes}
        return ValidationContext(
            attributes=by_name, key_field=a_field, today=datetime.now(UTC).date()
        )


async def _wait(outcome: asyncio.Future[WriteOutcome], until_s: float) -> None:
    await asyncio.wait({outcome}, timeout=max(0, until_s - time.monotonic()))


def _event(
    mode: RowMode, event_id: str, fields: UserFields, *, user_id: int | None = None
) -> UserRow:
    return UserRow(
        mode=mode,
        event_id=event_id,
        key=fields.key,
        **fields.values,
        attributes=dict(fields.attributes),
        present=fields.present,
        occurred_at=datetime.now(UTC),
        source=API_SOURCE,
        user_id=user_id,
    )


def _present_texts(user: dict[str, Any], context: ValidationContext) -> dict[Field, str]:
    """Return the user as it is, as the texts of a file's cells, its key included."""
    texts = {
        a_field: "" if user[a_field.name] is None else str(user[a_field.name]) for a_field in FIELDS
    }
    texts[context.key_field] = user["key"]
    return texts


def _key_changed(a_field: Field) -> InvalidRequestError:
    name = a_field.name if is_attribute(a_field) else a_field.json_name
    message = (
        f"{name} is the reconciliation key, which tells users apart, so it cannot be changed:"
        " add a user with the new one, and delete this one."
    )
    return InvalidRequestError(INVALID_USER, [Detail(KEY_CHANGED, message, column=name)])


def _raise_rejected(outcome: WriteOutcome) -> None:
    """Raise where the projection rejected the write.

    Raises:
        InvalidRequestError: with the projection's code and reason.
    """
    if outcome.outcome != "rejected":
        return
    assert outcome.code is not None, "a rejection has a code"
    if outcome.code == NO_SUCH_USER.code:
        raise UnknownUserError
    reason = outcome.reason or ""
    message = reason if outcome.code == KEY_EXISTS.code else INVALID_USER
    raise InvalidRequestError(
        message, [Detail(outcome.code, reason, column=_body_column(outcome.column))]
    )


def _body_column(column: str | None) -> str | None:
    """Return the name that a body has for the projection's column: a field or an attribute."""
    is_field = column is None or any(a_field.json_name == column for a_field in FIELDS)
    return column if is_field else f"attributes.{column}"
