"""Files to upload, made from a seed, with the dirt that people's files have."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from tests.support.data.corpus.values import TIDY

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence

HEADERS = (
    "First Name",
    "Last Name",
    "Email",
    "Mobile Number",
    "Country",
    "State",
    "Last Active Date",
)
_FIRST = ("Ada", "Grace", "Jürgen", "Zoë", "明", "O'Brien", 'Robert "Bob"', "Anna, Maria", "=1+1")
_LAST = ("Lovelace", "Hopper", "Müller", "Łukasz", "李", "two\nlines", "van der Berg", "🦊")
_COUNTRIES = ("Germany", "France", "India", "Japan", "USA", "usa", "United States")
_STATES = ("California", "Texas", "Bavaria", "")
_FAULTY_CELLS = (
    ("Email", "no-at-sign"),
    ("Email", "no-at-sign.example"),
    ("Email", ""),
    ("Mobile Number", "9190000"),
    ("Mobile Number", "call me"),
    ("Last Active Date", "02/30/2020"),
    ("Last Active Date", "yesterday"),
    ("First Name", "x" * 256),
)


def tidy_csv(keys: Sequence[int], *, word: str = "a") -> bytes:
    """A faultless file with one user a key; another word gives other values, apart from keys."""
    lines = [
        f"First{word}{key},Last{word},user{key}@example.com,+1415555{key % 10_000:04d},USA,"
        f"California,01/{key % 28 + 1:02d}/2024"
        for key in keys
    ]
    return "\n".join([",".join(HEADERS), *lines, ""]).encode()


def csv_of(*lines: dict[str, str], headers: Iterable[str] = TIDY) -> bytes:
    """A file with these lines; what one doesn't say is as in the tidy line."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(headers)
    writer.writerows([(TIDY | line).get(header, "") for header in headers] for line in lines)
    return out.getvalue().encode()


def dirty_csv(
    rng: random.Random,
    rows: int,
    *,
    keys: int,
    delimiter: str = ",",
    faults: float = 0.05,
    more: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """A file of ``rows`` lines over ``keys`` possible users: repeats, blanks, quotes, faults.

    ``more`` are further columns, each with the cells to choose from.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n"]))
    more = more or {}
    headers = rng.sample([*HEADERS, *more], len(HEADERS) + len(more))
    writer.writerow(_spelled(rng, header) for header in headers)
    for _ in range(rows):
        cells = _cells(rng, rng.randrange(keys))
        cells |= {name: rng.choice(choices) for name, choices in more.items()}
        if rng.random() < faults:
            column, cell = rng.choice(_FAULTY_CELLS)
            cells[column] = cell
        row = [cells[header] for header in headers]
        if rng.random() < faults / 10:
            row = row[:-1] if rng.random() < 0.5 else [*row, "more"]
        writer.writerow(row)
    return out.getvalue().encode()


def _cells(rng: random.Random, key: int) -> dict[str, str]:
    email = f"user{key}@example.com"
    if rng.random() < 0.1:
        email = f" {email.upper()} "
    return {
        "First Name": rng.choice(_FIRST),
        "Last Name": rng.choice(_LAST),
        "Email": email,
        "Mobile Number": rng.choice(["", f"+49 (30) {rng.randrange(10**6, 10**7)}"]),
        "Country": rng.choice(_COUNTRIES),
        "State": rng.choice(_STATES),
        "Last Active Date": rng.choice(["", "12/31/2023", "2024-02-29"]),
    }


def _spelled(rng: random.Random, header: str) -> str:
    """The header in one of the spellings that mean the same."""
    spellings = (header, header.upper(), header.replace(" ", "_"), header.replace(" ", ""))
    return rng.choice(spellings)
