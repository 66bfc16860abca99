"""Whatever is wrong with a header is told at once, with what was probably meant."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import FileFormat
from ingest_api.parsing.header import header_and_fault
from schemas.events import AttributeColumn, ColumnMapping
from tests.support.models.record_reading import fault_of

if TYPE_CHECKING:
    from ingest_api.parsing.header import Header

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


def read_header(raw: str, *, line: int, delimiter: str, file_format: FileFormat) -> Header:
    """The header of a file that isn't refused for it."""
    header, fault = header_and_fault(raw, line=line, delimiter=delimiter, file_format=file_format)
    if fault is not None:
        raise fault
    return header


def faults(header: str, **described: Any) -> list[FileFault]:
    """All faults of a header."""
    with pytest.raises(FileFault) as caught:
        read_header(header, line=1, delimiter=",", file_format=FileFormat(**described))
    return [caught.value, *caught.value.others]


def suggestions(header: str) -> dict[str, str]:
    """By unknown column the field that is suggested."""
    return {
        fault.column or "": fault.message.rpartition("Is it ")[2].partition("?")[0]
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
                "CC": "Country",
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


@pytest.mark.parametrize(
    "header",
    [
        "First Name*,Last Name (required),E-Mail:,Country [ISO]",
        "\uff26irst.Name,What\u2019s your last name?,Email Address\u200b,your-country",
    ],
)
def test_what_people_write_around_a_name_says_nothing(header: str) -> None:
    """Where usual names are taken."""
    described = FileFormat(maps_usual_names=True)
    read = read_header(header, line=1, delimiter=",", file_format=described)

    held = [field and field.header for field in read.fields]
    assert held == ["First Name", "Last Name", "Email", "Country"]


def test_names_that_are_merely_like_ours_are_no_suggestions() -> None:
    """A status is no state, and one who is suppressed has not subscribed."""
    header = "Email,Status,Email Suppressions,Description,Middle Name,Card Issue Country,Active"

    assert suggestions(header) == {}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Ada,Byron,ada@b.example.com,UK\n", "The line holds data: put one with the names"),
        ('"First Name,Email"\n"Ada,ada@b.example.com"\n', "The whole line stands in quotes"),
        ("Report\n\nEmail,First Name,Last Name,Country\na@b.cd,A,B,UK\n", "Line 3 is a header"),
    ],
)
def test_a_first_line_that_is_no_header_is_called_what_it_is(lines: str, said: str) -> None:
    """Whoever forgot the names, quoted whole lines, or wrote a title, reads what to do."""
    assert said in fault_of(io.BytesIO(lines.encode())).message


@pytest.mark.parametrize("lines", ['A,B\n"open,c\n', 'A,B\nc,"d"e\n', 'A,B\n"\n'])
def test_a_line_that_is_not_well_formed_is_no_header(lines: str) -> None:
    """The first fault is the header's, and is told."""
    assert fault_of(io.BytesIO(lines.encode())).code == "UNKNOWN_COLUMN"


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


COLUMNS = (
    ColumnMapping("E-mail  1 - value", "email"),
    ColumnMapping("Notes", ""),
    ColumnMapping("Size", "shoe size"),
)


def test_the_sender_says_what_columns_hold() -> None:
    """By the field's header, its name in JSON or the attribute's; before the column's own name."""
    file_format = FileFormat(
        columns=(*COLUMNS, ColumnMapping("Country", "State"), ColumnMapping("State", "country")),
        attributes=(AttributeColumn("Shoe Size", "number"),),
    )
    header = "E-mail 1 - Value,Notes,SIZE,Country,State"

    read = read_header(header, line=1, delimiter=",", file_format=file_format)

    held = [field and field.json_name for field in read.fields]
    assert held == ["email", None, "Shoe Size", "state", "country"]


def test_columns_that_say_who_has_opted_out_are_known() -> None:
    """By the names that other programs give them; a subscription's own column stands beside."""
    header = "Email,Unsubscribed from all email,DoNotCall,SMS_BLACKLISTED,Opt In"
    described = FileFormat(maps_usual_names=True)
    read = read_header(header, line=1, delimiter=",", file_format=described)

    held = [field and field.header for field in read.fields]
    opposites = ["!Email Subscription", "!Voice Subscription", "!SMS Subscription"]
    assert held == ["Email", *opposites, "Email Subscription"]
    assert ColumnMapping("DoNotCall", "!Voice Subscription") in read.columns

    again = FileFormat(columns=read.columns)
    assert read_header(header, line=1, delimiter=",", file_format=again).fields == read.fields
    assert suggestions("Email,HasOptedOutOfEmail") == {"HasOptedOutOfEmail": "!Email Subscription"}
    assert suggestions("Email,Email Subscriptionn,SMS Subscription,Unsub") == {
        "Email Subscriptionn": "Email Subscription"
    }


def test_opt_outs_that_are_left_out_are_named() -> None:
    """Unless the sender has said what becomes of the column."""
    columns = (ColumnMapping("Bounced", ""),)
    described = FileFormat(columns=columns, unknown_columns="ignore")
    header = "Email,Do-not-contact,Foo,Bounced,Opt.Out"
    read = read_header(header, line=1, delimiter=",", file_format=described)

    named = [note.split('"')[1] for note in read.notes_of_opt_outs]
    assert named == ["Do-not-contact", "Opt.Out"]


def test_what_is_opposite_must_be_a_subscription_and_come_once() -> None:
    """Another field has no opposite."""
    columns = (
        ColumnMapping("Gone", "!Emial Subscription"),
        ColumnMapping("Left", "!Email"),
        ColumnMapping("Out", "!emailSubscription"),
        ColumnMapping("Off", "! email subscription"),
    )

    found = faults("Email,Gone,Left,Out,Off", columns=columns)

    assert [(fault.code, fault.column) for fault in found[:3]] == [
        ("MAPPED_FIELD_UNKNOWN", "Gone"),
        ("MAPPED_FIELD_UNKNOWN", "Left"),
        ("REPEATED_COLUMN", "Off"),
    ]
    assert "do you mean !Email Subscription?" in found[0].message


def test_unknown_columns_are_left_out_where_that_is_said() -> None:
    """All of them; what is missing or comes twice is a fault all the same."""
    described = FileFormat(unknown_columns="ignore")
    read = read_header("Foo,Email,Bar,Foo", line=1, delimiter=",", file_format=described)
    assert [field and field.name for field in read.fields] == [None, "email", None, None]

    found = faults("Foo,Given Name,Country,country", unknown_columns="ignore")
    assert [(fault.code, fault.column) for fault in found[:2]] == [
        ("REPEATED_COLUMN", "country"),
        ("KEY_COLUMN_MISSING", "Email"),
    ]


def test_what_is_said_of_columns_must_fit_the_file() -> None:
    """A column that is not there, a field that there is not, and two columns of one field."""
    columns = (
        ColumnMapping("Mail", "Email"),
        ColumnMapping("Phone", "Mobil Number"),
        ColumnMapping("Second", "email"),
    )

    found = faults("Email,Phone,Second", columns=columns)

    assert [(fault.code, fault.column) for fault in found[:3]] == [
        ("MAPPED_COLUMN_MISSING", "Mail"),
        ("MAPPED_FIELD_UNKNOWN", "Phone"),
        ("REPEATED_COLUMN", "Second"),
    ]
    assert "do you mean Mobile Number?" in found[1].message


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


def test_wide_lines_below_a_wrong_header_are_not_compared_with_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names of a wide file took seconds, and twenty lines after them minutes."""
    compared: list[str] = []

    def counted(name: str, *_others: object, **_how: object) -> list[str]:
        compared.append(name)
        return []

    monkeypatch.setattr("ingest_api.parsing.suggestions.nearest", counted)
    line = ",".join(f"nonsense {number}" for number in range(500))
    assert fault_of(io.BytesIO(f"{line}\n".encode() * 21)).code == "UNKNOWN_COLUMN"
    assert compared == [f"nonsense {number}" for number in range(100)]
