"""An export of a CRM as people have them: other names of columns, and mistakes."""

from __future__ import annotations

import csv
import io
import random

_FIRST = (
    "Ada Grace Alan Mary Katherine Dorothy Edsger Barbara Donald Margaret Linus Radia Ken Frances "
    "Tim Hedy Claude Annie John Karen Niklaus Sophie Jean Adele Leslie Shafi Yukihiro Evelyn "
    "José Zoë Łukasz Nguyễn محمد دينا Наталья Βασίλης"
)
_LAST = (
    "Lovelace Hopper Turing Jackson Johnson Vaughan Dijkstra Liskov Knuth Hamilton Torvalds "
    "Perlman Thompson Allen Berners-Lee Lamarr Shannon Easley McCarthy Jones Wirth Wilson Bartik "
    "Goldberg Lamport Goldwasser Matsumoto García Müller-Lüdenscheidt O'Brien العربي Иванова "
    "Παπαδόπουλος Wolfeschlegelsteinhausenbergerdorff"
)
_PLACES = (
    ("USA", "California", "+1415555%04d"),
    ("USA", "New York", "+1212555%04d"),
    ("UK", "", "+4420794%05d"),
    ("France", "", "+3314236%04d"),
    ("Germany", "", "+4930123%05d"),
    ("Japan", "", "+8131234%04d"),
)
_MAILS = ("example.com", "example.org", "mail.example.net")
_HEADER = (
    "First Name",
    "Surname",
    "E-mail Address",
    "Cell",
    "Country",
    "Province",
    "Opted in",
    "Notes",
)


def crm_export(people: int, *, seed: int = 1, mistakes: bool = True) -> bytes:
    """A file of so many people; with mistakes one line in twenty is wrong in one way or other."""
    random_ = random.Random(seed)
    firsts, lasts = _FIRST.split(), _LAST.split()
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(_HEADER)
    for number in range(people):
        first, last = random_.choice(firsts), random_.choice(lasts)
        country, state, phone = random_.choice(_PLACES)
        mail = f"{first}.{last}.{number}@{random_.choice(_MAILS)}".lower()
        mail = (
            mail.encode("ascii", "ignore").decode().replace("'", "").lstrip(".").replace("..", ".")
        )
        row = [first, last, mail, phone % (number % 10000), country, state]
        row += [random_.choice(["yes", "no", "TRUE"]), random_.choice(["", "met at the fair"])]
        if mistakes and random_.random() < 0.05:
            column, wrong = random_.choice(
                [(2, mail.replace("@", " at ")), (3, "call me"), (4, ""), (6, "maybe"), (1, "")]
            )
            row[column] = wrong
        rows.writerow(row)
    return text.getvalue().encode()
