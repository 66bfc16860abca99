"""Unknown columns become custom attributes where that is said, and the job keeps which."""

from __future__ import annotations

import io

import pytest

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import FileFormat
from ingest_api.parsing.new_attributes import attribute_name
from ingest_api.validation.validate import survey
from ingest_api.validation.validated_file import validate_file
from schemas.events import AttributeColumn, ColumnMapping
from schemas.rules.fields import RULES_VERSION
from tests.support.models.file_oracle import accepted_job

FILE = "Email,Lead Status,Größe (cm),shoe-size,\nada@new.example.com,Open,170,38,\n".encode()
DEFINED = (AttributeColumn("Shoe Size", "number"),)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Lead Status", "Lead Status"),
        ("  E-mail 2 - Value ", "E-mail 2 - Value"),
        ("Größe (cm)", "Grosse cm"),
        ("Prénom d'usage", "Prenom d usage"),
        ("2nd phone", "nd phone"),
        ("$source", "source"),
        ("名前", None),
        ("123", None),
        ("a" * 70, "a" * 64),
    ],
)
def test_a_name_is_brought_into_the_form_that_names_have(header: str, name: str | None) -> None:
    """As near to the column's as can be."""
    assert attribute_name(header) == name


def test_unknown_columns_hold_attributes() -> None:
    """Those that are defined with their types, the others as text; nameless ones none."""
    described = FileFormat(attributes=DEFINED, unknown_columns="attribute")
    header = survey(io.BytesIO(FILE), described).header

    assert [field and field.json_name for field in header.fields] == [
        *("email", "Lead Status", "Grosse cm", "Shoe Size", None)
    ]
    assert header.new_attributes == (
        AttributeColumn("Lead Status", "string"),
        AttributeColumn("Grosse cm", "string"),
    )
    assert header.columns == (ColumnMapping("Größe (cm)", "Grosse cm"),)


def test_once_defined_the_same_file_says_the_same() -> None:
    """So a retry has the same content, and a pass, which knows the job only, the same rows."""
    described = FileFormat(attributes=DEFINED, unknown_columns="attribute")
    first = survey(io.BytesIO(FILE), described).header
    attributes = (*DEFINED, *first.new_attributes)

    again = FileFormat(attributes=attributes, unknown_columns="attribute")
    second = survey(io.BytesIO(FILE), again).header
    assert (second.columns, second.fields) == (first.columns, first.fields)
    assert second.new_attributes == ()

    job = accepted_job(
        mode="upsert",
        rules_version=RULES_VERSION,
        attributes=attributes,
        columns=first.columns,
        unknown_columns="attribute",
    )
    (block,) = validate_file(io.BytesIO(FILE), job)
    assert dict(block.rows.to_pylist()[0]["attributes"]) == {
        "Lead Status": "Open",
        "Grosse cm": "170",
        "Shoe Size": "38",
    }


@pytest.mark.parametrize("header", ["Mobile", "Contry", "Active", "名前", "Foo,FOO"])
def test_what_probably_means_something_else_is_refused_all_the_same(header: str) -> None:
    """A field that every user has, a name that no attribute may have, one that comes twice."""
    content = f"Email,{header}\na@b.example.com,1{',2' * header.count(',')}\n".encode()
    described = FileFormat(unknown_columns="attribute")

    with pytest.raises(FileFault) as refused:
        survey(io.BytesIO(content), described)
    assert refused.value.code in {"UNKNOWN_COLUMN", "REPEATED_COLUMN"}
