"""Files of users, made from a seed: the same seed and number of rows give the same file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

HEADERS = (
    "First Name",
    "Last Name",
    "Email",
    "Mobile Number",
    "Country",
    "State",
    "Last Active Date",
)
_BLOCK_ROWS = 200_000

_FIRST = "Ada Alan Anna Björn Chloé Dana Edsger Fatima Grace Ines Jürgen Kofi Lin Maria Noor Zoë"
_LAST = "Baker Curie Dijkstra Engel Fischer García Hopper Ivanov Jones Kumar Li Müller Nakamura Øst"
_DOMAINS = ("example.com", "example.org", "mail.example.net", "post.example.de")
_COUNTRIES = ("USA", "Germany", "France", "India", "Japan", "Brazil", "United Kingdom")
_STATES = ("California", "Texas", "New York", "Washington")


def write_users(path: Path, rows: int, *, seed: int, edition: int = 0, first: int = 0) -> None:
    """Writes a CSV file of so many users, no two with one email, in no order of it.

    Users are numbered from `first`; files that share no number share no user.
    Another edition holds the same users in another order, and each of them differs.
    """
    order = np.random.default_rng([seed, edition]).permutation(rows) + first
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write((",".join(HEADERS) + "\n").encode())
        for begin in range(0, rows, _BLOCK_ROWS):
            block = _users(order[begin : begin + _BLOCK_ROWS], edition)
            csv.write_csv(block, file, options)


def _users(numbers: np.ndarray[Any, np.dtype[np.int64]], edition: int) -> pa.Table:
    # A multiplicative hash spreads the words over the users without keeping a table of them.
    spread = (numbers * 2654435761) % 4294967296
    first = _pick(_FIRST.split(), spread)
    last = _pick(_LAST.split(), spread // 64 + edition)
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 7, "0")
    country_number = spread // 4096 % len(_COUNTRIES)
    states = pc.if_else(
        pa.array(country_number == 0), _pick(_STATES, spread // 32768), pa.scalar("")
    )
    day = pc.utf8_lpad(pa.array(spread % 28 + 1).cast(pa.string()), 2, "0")
    columns = [
        first,
        last,
        _join(
            "user", pa.array(spread).cast(pa.string()), ".", digits, "@", _pick(_DOMAINS, spread)
        ),
        _join("+1415", digits),
        _pick(_COUNTRIES, country_number),
        states,
        _join("08/", day, f"/{2017 + edition}"),
    ]
    return pa.table(columns, names=list(HEADERS))


def _pick(words: Iterable[str], numbers: Any) -> pa.StringArray:
    known = pa.array(list(words), pa.string())
    return known.take(pa.array(numbers % len(known), pa.int64()))


def _join(*parts: Any) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")
