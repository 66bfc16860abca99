"""Makes the sample files anew: `python -m deploy.samples.generate`.

Every line is made for an outcome, by the rules of the HTTP contract. The outcomes are counted
into `expected.json` here, without asking the product.
"""

import csv
import dataclasses
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = (
    "First Name",
    "Last Name",
    "Email",
    "Mobile Number",
    "Country",
    "State",
    "Last Active Date",
)

_EMAIL = HEADER.index("Email")
_SEED = 20_170_828
_INSERTED_USERS = 2_000
_FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chidi",
    "Dağhan",
    "Élodie",
    "Fatima",
    "Grace",
    "小明",
    "Óscar",
    "Zoë 🌻",
)
_LAST_NAMES = (
    "Lovelace",
    "O'Neill",
    "van der Berg",
    "Núñez",
    "Smith, Jr.",
    "李",
    'The "Boss"',
    "🦉 Hoot",
)
_PLACES = (
    ("USA", "California"),
    ("United States", "New York"),
    ("us", "Texas"),
    ("Germany", ""),
    ("Côte d'Ivoire", "Abidjan"),
    ("India", "Kerala"),
    ("日本", "東京"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """The cells of a line, as written."""

    first_name: str
    last_name: str
    email: str
    mobile_number: str
    country: str
    state: str
    last_active_date: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line and what becomes of it; a blank one counts for nothing."""

    cells: Sequence[str]
    outcome: str


def main() -> None:
    """Write the three files and the expected counts beside this module."""
    folder = Path(__file__).parent
    for name, text in sample_files().items():
        (folder / name).write_text(text, newline="")


def sample_files() -> dict[str, str]:
    """Return the files by name; the same at every call."""
    rng = random.Random(_SEED)  # noqa: S311 - the files must come out the same each time
    audience = [_person(rng, number) for number in range(_INSERTED_USERS)]
    jobs = {
        "insert": _insert_lines(rng, audience),
        "upsert": _upsert_lines(rng, audience),
        "delsert": _delsert_lines(rng, audience),
    }
    files = {f"{mode}.csv": _csv(lines) for mode, lines in jobs.items()}
    files["expected.json"] = json.dumps(_expected(jobs), indent=2) + "\n"
    return files


def _insert_lines(rng: random.Random, audience: Sequence[Person]) -> list[Line]:
    lines = [Line(dataclasses.astuple(person), "inserted") for person in audience]
    lines += _rejected_lines(rng, count=140, first_number=10_000)
    rng.shuffle(lines)
    # The first line with a key is the one that counts, so these come last.
    again = rng.sample(audience, 25)
    return lines + [
        Line(_cells(person, email=person.email.upper()), "rejected") for person in again
    ]


def _upsert_lines(rng: random.Random, audience: Sequence[Person]) -> list[Line]:
    changed, same, partly = audience[:600], audience[600:800], audience[800:900]
    new = [_person(rng, number) for number in range(20_000, 20_300)]
    lines = [
        *(Line(_cells(person, first_name="Renamed"), "updated") for person in changed),
        *(Line(dataclasses.astuple(person), "unchanged") for person in same),
        *(Line(_only_state(person), "updated") for person in partly),
        *(Line(dataclasses.astuple(person), "inserted") for person in new),
        # A blank cell changes nothing of a user there is, but a new one lacks something then.
        *(_incomplete(rng, number) for number in range(21_000, 21_020)),
        *_rejected_lines(rng, count=60, first_number=30_000),
    ]
    rng.shuffle(lines)
    return lines + [Line(_cells(person, last_name="Twice"), "updated") for person in new[:30]]


def _delsert_lines(rng: random.Random, audience: Sequence[Person]) -> list[Line]:
    kept = audience[500:1_500]
    new = [_person(rng, number) for number in range(40_000, 40_250)]
    lines = [Line(dataclasses.astuple(person), "inserted") for person in (*kept, *new)]
    lines += _rejected_lines(rng, count=50, first_number=50_000)
    rng.shuffle(lines)
    return lines + [Line(dataclasses.astuple(person), "rejected") for person in kept[:10]]


def _person(rng: random.Random, number: int) -> Person:
    country, state = rng.choice(_PLACES)
    last_name = rng.choice(_LAST_NAMES)
    email = f"user{number}@example.{rng.choice(('com', 'org', 'co.uk'))}"
    return Person(
        first_name=rng.choice(_FIRST_NAMES),
        # One in twenty has a line break within its quotes.
        last_name=f"{last_name}\nof line two" if rng.random() < 0.05 else last_name,  # noqa: PLR2004 - one in twenty
        email=rng.choice((email, f"  {email} ", email.replace("user", "User"))),
        mobile_number=rng.choice(("", f"+1415{number:07d}", f"+49 (30) {number:07d}")),
        country=country,
        state=state,
        last_active_date=rng.choice(("", "08/28/2017", "2024-02-29")),
    )


def _incomplete(rng: random.Random, number: int) -> Line:
    return Line(_cells(_person(rng, number), last_name=""), "rejected")


def _only_state(person: Person) -> Sequence[str]:
    return ("", "", person.email, "", "", "Moved", "")


def _cells(person: Person, **changes: str) -> Sequence[str]:
    return dataclasses.astuple(dataclasses.replace(person, **changes))


_FAULTS: tuple[Callable[[Person], Sequence[str]], ...] = (
    lambda person: _cells(person, email="no-at-sign.example.com"),
    lambda person: _cells(person, email="two@@example.com"),
    lambda person: _cells(person, email=""),
    lambda person: _cells(person, country=""),
    lambda person: _cells(person, first_name="", last_name=""),
    lambda person: _cells(person, first_name="   "),
    lambda person: _cells(person, country="USA", state=""),
    lambda person: _cells(person, last_active_date="02/30/2024"),
    lambda person: _cells(person, last_active_date="yesterday"),
    lambda person: _cells(person, mobile_number="call me"),
    lambda person: _cells(person, last_name="x" * 300),
    lambda person: _cells(person)[:5],
    lambda person: (*_cells(person), "one too many"),
    lambda _: ("",) * len(HEADER),
)


def _rejected_lines(rng: random.Random, *, count: int, first_number: int) -> Iterator[Line]:
    for number in range(first_number, first_number + count):
        fault = _FAULTS[number % len(_FAULTS)]
        cells = fault(_person(rng, number))
        yield Line(cells, "rejected" if any(cells) else "blank")


def _csv(lines: Sequence[Line]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(line.cells for line in lines)
    return text.getvalue()


def _expected(jobs: dict[str, list[Line]]) -> dict[str, dict[str, int]]:
    expected: dict[str, dict[str, int]] = {}
    users = set[str]()
    for mode, lines in jobs.items():
        counts = Counter(line.outcome for line in lines)
        inserted = {line.cells[_EMAIL].lower() for line in lines if line.outcome == "inserted"}
        outcomes = ("inserted", "updated", "unchanged", "rejected")
        expected[mode] = {name: counts[name] for name in outcomes}
        expected[mode]["total"] = sum(expected[mode].values())
        expected[mode]["deleted"] = len(users - inserted) if mode == "delsert" else 0
        users = inserted if mode == "delsert" else users | inserted
        expected[mode]["users"] = len(users)
    return expected


if __name__ == "__main__":
    main()
