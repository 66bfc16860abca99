"""The demo's sample files."""

import csv
import json
from pathlib import Path

import pytest

from deploy import samples
from deploy.samples.generate import HEADER, sample_files

FOLDER = Path(samples.__file__).parent


def test_the_committed_files_are_the_generated_ones() -> None:
    """Whoever changes the generator commits what it makes."""
    made = {name: text.encode() for name, text in sample_files().items()}

    assert {name: (FOLDER / name).read_bytes() for name in made} == made


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
def test_expected_counts_cover_every_line(mode: str) -> None:
    """The outcomes add up to the lines that a CSV reader finds in the file, blank ones apart."""
    expected = json.loads((FOLDER / "expected.json").read_text())[mode]
    with (FOLDER / f"{mode}.csv").open(newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    lines = [row for row in rows if any(row)]

    assert tuple(header) == HEADER
    assert expected["total"] == len(lines)
    outcomes = ("inserted", "updated", "unchanged", "rejected")
    assert sum(expected[name] for name in outcomes) == len(lines)
