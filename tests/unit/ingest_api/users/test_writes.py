"""The ids of events that an ``Idempotency-Key`` makes."""

from __future__ import annotations

from ingest_api.users.body import UserBody
from ingest_api.users.writes import Sender
from ingest_api.web.json_body import decoded

ANA = decoded(b'{"firstName": "Ana", "attributes": {"a": 1, "b": 2}}', UserBody)
SAME = decoded(b'{ "attributes": {"b": 2, "a": 1}, "firstName": "Ana" }', UserBody)
EVE = decoded(b'{"firstName": "Eve"}', UserBody)
NULL = decoded(b'{"firstName": "Ana", "lastName": null}', UserBody)


def test_one_key_and_one_request_make_one_id() -> None:
    """However the body was written; an id is printable and has no spaces."""
    sender = Sender("admin", "first")
    made = sender.event_id("create", ANA)
    assert made == sender.event_id("create", SAME)
    assert made == Sender("admin", "first").event_id("create", ANA)
    assert made.isalnum()
    assert len(made) == 64


def test_other_requests_of_a_key_make_other_ids_that_begin_alike() -> None:
    """So that the key's use for another request is found."""
    sender = Sender("admin", "first")
    ids = {
        sender.event_id("create", ANA),
        sender.event_id("create", EVE),
        sender.event_id("modify", 7, ANA),
        sender.event_id("modify", 7, NULL),
        sender.event_id("modify", 8, ANA),
        sender.event_id("delete", 7),
    }
    assert len(ids) == 6
    first, last = sender.event_ids()
    assert all(first <= event_id <= last for event_id in ids)


def test_other_accounts_and_keys_make_ids_of_their_own() -> None:
    """A key means something only within its account; without one each id is new."""
    first, last = Sender("admin", "first").event_ids()
    others = [Sender("admin", "second"), Sender("eve", "first"), Sender("admi", "nfirst")]
    for sender in [*others, Sender("admin", None)]:
        assert not first <= sender.event_id("create", ANA) <= last
    anonymous = Sender("admin", None)
    assert anonymous.event_id("create", ANA) != anonymous.event_id("create", ANA)
