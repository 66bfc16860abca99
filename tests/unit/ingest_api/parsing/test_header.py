"""Whatever is wrong with a header is told at once, with what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import FileFormat
from ingest_api.parsing.header import read_header
from schemas.events import AttributeColumn

MAILCHIMP = (
    "Email Address,First Name,Last Name,Address,Phone Number,Birthday,Tags,MEMBER_RATING,OPTIN_TIME"
    ",OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES"
)
HUBSPOT = "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Country/Region"
GOOGLE = "Given Name,Family Name,Notes,E-mail 1 - Value,Phone 1 - Value,Address 1 - Country"
SALESFORCE = (
    "FirstName,LastName,Email,MobilePhone,Mailing Country,Mailing State/Province,HasOptedOut"
)
OUTLOOK = "First Name,Last Name,E-mail Address,Mobile Phone,Home Country/Region,Home State"
SHOPIFY = (
    "First Name,Last Name,Email,Accepts Email Marketing,Default Address Country Code,Phone"
    ",Default Address Province Code,Accepts SMS Marketing"
)


def faults(header: str, **described: Any) -> list[FileFault]:
    """All faults of a header."""
    with pytest.raises(FileFault) as caught:
        read_header(header, line=1, delimiter=",", file_format=FileFormat(**described))
    return [caught.value, *caught.value.others]


def suggestions(header: str) -> dict[str, str]:
    """By unknown column the field that is suggested."""
    return {
        fault.column or "": fault.message.rpartition("Is it ")[2].removesuffix("?")
        for fault in faults(header)
        if "Is it " in fault.message
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            MAILCHIMP,
            {
                "Email Address": "Email",
                "Phone Number": "Mobile Number",
                "REGION": "State",
                "LAST_CHANGED": "Last Active Date",
            },
        ),
        (HUBSPOT, {"Mobile Phone Number": "Mobile Number", "Country/Region": "Country"}),
        (
            GOOGLE,
            {
                "Given Name": "First Name",
                "Family Name": "Last Name",
                "E-mail 1 - Value": "Email",
                "Phone 1 - Value": "Mobile Number",
                "Address 1 - Country": "Country",
            },
        ),
        (
            SALESFORCE,
            {
                "MobilePhone": "Mobile Number",
                "Mailing Country": "Country",
                "Mailing State/Province": "State",
            },
        ),
        (
            OUTLOOK,
            {
                "E-mail Address": "Email",
                "Mobile Phone": "Mobile Number",
                "Home Country/Region": "Country",
                "Home State": "State",
            },
        ),
        (
            SHOPIFY,
            {
                "Accepts Email Marketing": "Email Subscription",
                "Default Address Country Code": "Country",
                "Phone": "Mobile Number",
                "Default Address Province Code": "State",
                "Accepts SMS Marketing": "SMS Subscription",
            },
        ),
        (
            "Vorname,Nachname,E-Mail-Adresse,Land",
            {
                "Vorname": "First Name",
                "Nachname": "Last Name",
                "E-Mail-Adresse": "Email",
                "Land": "Country",
            },
        ),
        (
            "Frist Name,LastNmae,Emial,Contry,Stat",
            {
                "Frist Name": "First Name",
                "LastNmae": "Last Name",
                "Emial": "Email",
                "Contry": "Country",
                "Stat": "State",
            },
        ),
    ],
)
def test_columns_of_usual_exports_are_recognised(header: str, expected: dict[str, str]) -> None:
    """As suggestions, each field once; what means no field of ours gets none."""
    assert suggestions(header) == expected


def test_every_fault_of_a_header_is_told_at_once() -> None:
    """Unknown and repeated columns in their order, then what is missing and is not suggested."""
    found = faults("Foo,First Name,FirstName,Surname,Bar,")

    assert [(fault.code, fault.column) for fault in found] == [
        ("UNKNOWN_COLUMN", "Foo"),
        ("REPEATED_COLUMN", "FirstName"),
        ("UNKNOWN_COLUMN", "Surname"),
        ("UNKNOWN_COLUMN", "Bar"),
        ("KEY_COLUMN_MISSING", "Email"),
        ("REQUIRED_COLUMN_MISSING", "Country"),
    ]


def test_a_suggested_key_is_not_missing() -> None:
    """One fault a column."""
    assert [fault.column for fault in faults("Email Address,Given Name,Last Name,Country")] == [
        "Email Address",
        "Given Name",
    ]


def test_custom_attributes_are_suggested_too() -> None:
    """Where a name is nearly theirs."""
    attributes = (AttributeColumn("Shoe Size", "number"),)

    assert "Is it Shoe Size?" in faults("Email,ShoeSiez", attributes=attributes)[0].message


def test_an_answer_is_bounded() -> None:
    """A header of thousands of unknown columns gets a hundred of them, and how many are left."""
    found = faults(",".join(f"x{number}" for number in range(3000)))

    assert len(found) == 101
    assert found[-1].message.startswith("29")


@pytest.mark.parametrize(
    "header",
    ["First\N{NO-BREAK SPACE}Name,Email\N{ZERO WIDTH SPACE}", "\ufeffE-\u00admail,Sta\u200dte"],
)
def test_characters_that_nobody_sees_say_nothing(header: str) -> None:
    """A name that reads as one of ours is it."""
    read = read_header(header, line=1, delimiter=",", file_format=FileFormat())

    assert None not in read.fields
