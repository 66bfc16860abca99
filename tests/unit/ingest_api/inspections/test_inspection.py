"""What a file is, is found out; its lines are read as an import with the answer's options would."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.inspections.answer import inspection_shown
from ingest_api.inspections.inspection import inspect
from ingest_api.inspections.values import region_named
from ingest_api.parsing.file_format import DELIMITERS, Limits
from ingest_api.uploads.multipart import FilePart
from ingest_api.uploads.options import options_in_head
from ingest_api.uploads.receiver import upload_format
from ingest_api.validation.validate import survey
from schemas.rules.fields import RULES_VERSION
from tests.support.checkout import CHECKOUT
from tests.support.data.exports import MEANT, SHAPES, export
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from ingest_api.inspections.answer import InspectionShown


def inspected(
    content: bytes, *, charset: str | None = None, compression: str = "none", **query: list[str]
) -> InspectionShown:
    """The answer for this file, and these options."""
    options = options_in_head([], query)
    described = upload_format(
        FilePart("a.csv", charset, compression), options, (), reconciliation_key="email"
    )
    found = inspect(
        io.BytesIO(content),
        options,
        described,
        accept=lambda _survey: accepted_job(mode=options.mode, rules_version=RULES_VERSION),
        limits=Limits(block_bytes=1 << 16),
    )
    return inspection_shown(found, options)


def rejected_by_import(content: bytes, answer: InspectionShown) -> int:
    """How many lines an import with the answer's options rejects."""
    said = answer.options
    query: dict[str, list[str]] = {
        "DELIMITER": [said.delimiter],
        "columns": [f"{header}={field or 'ignore'}" for header, field in said.columns.items()],
        "unknownColumns": [said.unknown_columns],
        "phoneRegion": [said.phone_region] if said.phone_region else [],
        "dateOrder": [said.date_order],
    }
    options = options_in_head([], {name: values for name, values in query.items() if values})
    file = FilePart("a.csv", said.charset, "none")
    described = upload_format(file, options, (), reconciliation_key="email")
    return survey(io.BytesIO(content), described).rejected[answer.mode]


@pytest.mark.parametrize("name", MEANT | SHAPES)
def test_usual_exports_are_mapped_and_every_line_can_be_read(name: str) -> None:
    """Charset, delimiter, country of phone numbers and order of dates with them."""
    answer = inspected(export(name))

    assert {each.header: each.field for each in answer.columns if each.field} == (MEANT | SHAPES)[
        name
    ]
    assert not answer.refused_for
    assert (answer.reject, answer.rejected_by) == (0, [])
    assert rejected_by_import(export(name), answer) == 0


def test_guesses_are_told() -> None:
    """As options of the import, and in words where they may be wrong."""
    answer = inspected(export("excel"))

    said = answer.options
    assert (said.delimiter, said.charset, said.phone_region) == ("SEMI_COLON", "cp1252", "DE")
    assert (said.date_order, said.unknown_columns) == ("MDY", "ignore")
    assert [note.partition(" ")[0] for note in answer.notes] == ["The", "Phone"]
    assert answer.columns[1].samples == ["Großmann", "Müller", "Weiß"]


def test_what_is_said_is_not_guessed() -> None:
    """Options count before guesses."""
    answer = inspected(
        export("excel"),
        charset="latin-1",
        phoneRegion=["AT"],
        columns=["Letzter Kontakt=Last Active Date", "Telefon=ignore"],
        unknownColumns=["refuse"],
    )

    assert (answer.charset, answer.options.phone_region) == ("iso8859-1", "AT")
    shown = {each.header: (each.field, each.why) for each in answer.columns}
    assert shown["Telefon"] == (None, "columns")
    assert shown["Letzter Kontakt"] == ("Last Active Date", "columns")
    assert shown["E-Mail"] == ("Email", "name")
    assert shown["Land"] == ("Country", "usual name")
    assert answer.options.date_order == "DMY"
    assert not answer.refused_for


HEADER = b"Email,First Name,Last Name,Country,Last Active Date\n"


def test_faults_of_lines_are_counted_and_named() -> None:
    """By code and column, with the first lines; all of a line."""
    lines = b"".join(b"none,A,B,,13/13/2020\n" for _ in range(7)) + b"a@b.example.com,A\n"

    answer = inspected(HEADER + lines)

    assert (answer.lines, answer.reject) == (8, 8)
    found = {(each.code, each.column): (each.count, each.lines) for each in answer.rejected_by}
    assert found == {
        ("EMAIL_INVALID", "Email"): (7, [2, 3, 4, 5, 6]),
        ("DATE_INVALID", "Last Active Date"): (7, [2, 3, 4, 5, 6]),
        ("REQUIRED", "Country"): (7, [2, 3, 4, 5, 6]),
        ("TOO_FEW_FIELDS", None): (1, [9]),
    }
    assert answer.reject == rejected_by_import(HEADER + lines, answer)
    assert inspected(HEADER + lines, importType=["upsert"]).rejected_by[0].count == 7


def test_dates_that_fit_both_orders_are_told() -> None:
    """Until one fits only one of them."""
    both = HEADER + b"a@b.example.com,A,B,UK,01/02/2024\n"
    day_first = both + b"b@b.example.com,A,B,UK,31/02/2024\nc@b.example.com,A,B,UK,31/03/2024\n"

    assert "could be month first" in inspected(both).notes[0]
    assert inspected(day_first).options.date_order == "DMY"
    assert inspected(day_first, dateOrder=["MDY"]).reject == 2


def test_a_refused_file_is_described_all_the_same() -> None:
    """Its columns and lines, and why it would be refused."""
    answer = inspected(b"Emial,First Name,Vorname\nx,Ada,y\n\n")

    assert answer.refused_for[0].code == "KEY_COLUMN_MISSING"
    assert (answer.lines, answer.reject, answer.columns[0].samples) == (1, 0, ["x"])
    assert [each.maybe for each in answer.columns] == ["Email", None, None]

    for nothing_else in (b"Nonsense,Foo\n", b'Nonsense,Foo\na,b\n"x'):
        assert inspected(nothing_else).refused_for[0].code == "KEY_COLUMN_MISSING"
    broken = inspected(HEADER + b'a@b.example.com,A,B,UK,\n"open,A\n')
    assert [each.code for each in broken.refused_for] == ["QUOTE_NOT_CLOSED"]
    assert [each.header for each in broken.columns] == HEADER.decode().strip().split(",")
    assert [each.code for each in inspected(b"").refused_for] == ["EMPTY_FILE"]
    assert [each.code for each in inspected(b"%PDF-1.7\n").refused_for] == ["NOT_CSV"]


@pytest.mark.parametrize("mark", DELIMITERS.values())
def test_delimiters_are_found(mark: str) -> None:
    """With our own names, and with those of other programs."""
    for header in ("Email\tFirst Name\tLast Name\tCountry", "Mail\tVorname\tNachname\tLand"):
        content = f"{header}\na@b.example.com\tA\tB\tUK\n".replace("\t", mark).encode()
        answer = inspected(content)
        assert DELIMITERS[answer.options.delimiter] == mark
        assert answer.reject == 0


@pytest.mark.parametrize(
    ("text", "charset", "expected"),
    [
        ("Müller", "utf-8", "utf-8"),
        ("Müller", "cp1252", "cp1252"),
        ("Müller", "utf-16", "utf-16-le"),
        ("Толстой", "cp1251", "cp1251"),
        ("たなか太郎", "cp932", "cp932"),
        ("plain", "ascii", "utf-8"),
    ],
)
def test_charsets_are_guessed(text: str, charset: str, expected: str) -> None:
    """Of a packed file as of another."""
    content = f"Email,First Name,Last Name,Country\na@b.example.com,{text},B,UK\n".encode(charset)

    for answer in (inspected(content), inspected(gzip.compress(content), compression="gzip")):
        assert answer.charset == expected
        assert answer.columns[1].samples == [text]
        assert answer.reject == 0


def test_what_opt_outs_a_file_has_is_told() -> None:
    """A column that would be left out must not take them with it in silence."""
    assert any("Unsubscribed from all email" in note for note in inspected(export("hubspot")).notes)
    assert any("Email Opt Out" in note for note in inspected(export("salesforce")).notes)
    left_out = inspected(HEADER.replace(b"Last Active Date", b"Opted Out For Good") + b"\n")
    assert "opposite: columns=Opted Out For Good=!Email Subscription" in left_out.notes[0]


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("UK", "GB"),
        ("us", "US"),
        ("United States of America", "US"),
        ("Deutschland", "DE"),
        ("Österreich", "AT"),
        ("日本", "JP"),
        ("Atlantis", None),
        ("", None),
    ],
)
def test_countries_are_known_by_their_names(country: str, region: str | None) -> None:
    """In any language."""
    assert region_named(country) == region


def test_numbers_of_many_countries_get_no_region() -> None:
    """A region that doesn't fit most of them is none."""
    lines: list[Any] = ["Email,First Name,Last Name,Country,Mobile Number"]
    lines += [f"a{n}@b.example.com,A,B,UK,12" for n in range(9)]
    lines += ["z@b.example.com,A,B,UK,07911 123456"]

    assert inspected("\n".join(lines).encode()).options.phone_region is None


def test_names_of_countries_cost_little_memory() -> None:
    """The package that has them would load places, too: 97 MB in each process of the API."""
    code = (
        "import sys, ingest_api.app.server\n"
        "from ingest_api.inspections.values import region_named\n"
        "assert region_named('Deutschland') == 'DE'\n"
        "assert 'phonenumbers.geodata' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)


def test_a_country_of_blanks_costs_no_more_than_its_length() -> None:
    """With their square this would take hours."""
    assert region_named("Germany" + " " * 2_000_000 + "x") is None
