"""A parameter or form field that a request does not take is named, with what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ingest_api.errors import INVALID_FILE, INVALID_PARAMETER, InvalidRequestError
from ingest_api.imports.operations import IMPORT
from ingest_api.openapi.unknown_names import refuse_unknown_fields, refuse_unknown_parameters
from ingest_api.projections.operations import LIST_PROJECTIONS
from ingest_api.users.read_operations import USERS
from ingest_api.users.write_operations import CREATE_USER

if TYPE_CHECKING:
    from ingest_api.openapi.operation import Operation


def in_query(name: str, operation: Operation = USERS) -> str:
    """The message about that parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        refuse_unknown_parameters(operation, {name: ["x"]})
    (detail,) = caught.value.details
    assert (detail.code, detail.column) == ("UNKNOWN_PARAMETER", name[:100])
    return detail.message


def in_form(name: str) -> str:
    """The message about that field of an import's form."""
    with pytest.raises(InvalidRequestError, match=INVALID_FILE) as caught:
        refuse_unknown_fields(IMPORT, {name: ["x"]})
    return caught.value.details[0].message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("emial", "email"),
        ("page", "start or pageSize"),
        ("limit", "pageSize"),
        ("page_size", "pageSize"),
        ("Email", "email"),
        ("attributes.", "attributes.{name}"),
    ],
)
def test_the_nearest_parameter_is_asked_for(name: str, meant: str) -> None:
    """By likeness, by another case, or by what other APIs call it."""
    assert in_query(name) == f"There is no query parameter {name}: do you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dry_run", "dryRun"),
        ("dryrun", "dryRun"),
        ("import_type", "importType"),
        ("mode", "importType"),
        ("delimiter", "DELIMITER"),
        ("separator", "DELIMITER"),
        ("maxDeletePercentage", "maxDeletePercent"),
    ],
)
def test_the_nearest_field_is_asked_for(name: str, meant: str) -> None:
    """A trial whose field is misspelt must not become a real import."""
    assert in_form(name) == f"There is no form field {name}: do you mean {meant}?"


def test_what_is_like_nothing_is_told_what_there_is() -> None:
    """Or that there is nothing."""
    message = in_query("zzzz", LIST_PROJECTIONS)
    taken = "this request takes start, pageSize, dateFormat."
    assert message == f"There is no query parameter zzzz: {taken}"
    message = in_query("zzzz", CREATE_USER)
    assert message == "There is no query parameter zzzz: this request takes dateFormat."


def test_a_name_in_the_wrong_place_is_sent_to_the_right_one() -> None:
    """A header's, a form field's, or a field's of a body."""
    right = "Idempotency-Key is no form field here: send it as a header."
    assert in_form("Idempotency-Key") == right
    right = "uploadFile is no query parameter here: send it as a form field."
    assert in_query("uploadFile", IMPORT) == right
    right = "firstName is no query parameter here: send it as a field of the body."
    assert in_query("firstName", CREATE_USER) == right


def test_what_is_declared_and_what_clients_add_is_taken() -> None:
    """Names with a free end, a cache buster, what forms of HTML add, and a part with nothing."""
    query = {"email": ["a@b.co"], "attributes.plan": ["gold"], "_": ["1735"], "": [""]}
    refuse_unknown_parameters(USERS, query)
    form = {"importType": ["upsert"], "_charset_": ["utf-8"], "submit": ["Go"], "": [""]}
    refuse_unknown_fields(IMPORT, form | {"MAX_FILE_SIZE": ["1"]})


def test_every_unknown_name_is_told_in_one_answer() -> None:
    """Up to ten, and cut where they are long."""
    query = {f"wrong{number}{'x' * 5000}": ["1"] for number in range(50)}
    with pytest.raises(InvalidRequestError, match=INVALID_PARAMETER) as caught:
        refuse_unknown_parameters(USERS, query)
    assert len(caught.value.details) == 10
    assert max(len(str(detail.column)) for detail in caught.value.details) == 100
