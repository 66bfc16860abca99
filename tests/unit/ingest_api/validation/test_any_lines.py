"""Lines of any file come to the same in columns as one at a time, and beside others as alone."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.parsing.file_format import FileFormat, Limits
from ingest_api.validation.validate import survey
from schemas.events import JOB_MODES, ColumnMapping, RowRejected
from tests.support.data.corpus.values import (
    ATTRIBUTES,
    ATTRIBUTES_REFUSED,
    ATTRIBUTES_TAKEN,
    INCOMPLETE,
    REFUSED,
    REFUSED_FOR,
    TAKEN,
)
from tests.support.models.file_oracle import (
    HEADERS,
    UNSEEN_REASONS,
    accepted_job,
    read_events,
)
from tests.support.models.validated_events import (
    COLUMNS,
    events_of,
)

if TYPE_CHECKING:
    from schemas.events import JobAccepted, UserRow


KEY_ATTRIBUTES = ("Badge", "Shoe Size")
OPPOSITES = {"Email Opt Out": "!Email Subscription", "Do Not Call": "!voiceSubscription"}


headers = st.lists(
    st.sampled_from(
        [*HEADERS.values(), *ATTRIBUTES, *ATTRIBUTES, *OPPOSITES, "Error Line", "Error Reason"]
    ),
    unique=True,
    max_size=16,
).map(lambda names: [*names, *(name for name in ("Email", *KEY_ATTRIBUTES) if name not in names)])
numbers = st.from_regex(r"[+-]?0{0,2}[0-9]{0,17}(\.[0-9]{0,17}0{0,2})?", fullmatch=True)
neutralised = st.tuples(st.sampled_from(["'", "''", ""]), st.sampled_from("=+-@\t\rx"), numbers)
spaces = st.one_of(
    st.just(""),
    st.sampled_from(
        " \t\u00a0\u3000\u2028\u0085\x1f\ufeff\u200b\u00ad\u200f\u202a\ufe0f\U000e0020\u3164\x07"
    ),
)
addresses = st.from_regex(
    r"[a-zé.\-+'\" _(\u200b]{0,4}@?[a-zü.\-_1\uff41:]{0,6}(xn--)?\.[a-z1.\-]{0,5}", fullmatch=True
)
phones = st.from_regex(
    r"(\+|00)(1|7|39|44|49|54|55|52|61|800|882|999|3)[0-9 ().\u00a0\u2011\u200e-]{3,14}",
    fullmatch=True,
)
moments = st.from_regex(
    r"([0-9]{1,2}/[0-9]{1,2}/20[0-9]{2},?|20[0-9]{2}-[01][0-9]-[0-3][0-9])[T \u202f]"
    r"[0-2]?[0-9](:[0-6][0-9]){0,2}(\.[0-9]{1,3})?( ?[AaPp]M)?"
    r"( ?(Z|GMT|UTC|[+-][0-2][0-9]:?([0-6][0-9])?))?",
    fullmatch=True,
)
cores = st.one_of(
    st.sampled_from(
        [cell for _, cell, *_ in (*REFUSED, *REFUSED_FOR, *TAKEN) if len(cell) < 300]
        + [cell for changed, *_ in INCOMPLETE for cell in changed.values()]
        + [cell for _, cell, _ in (*ATTRIBUTES_REFUSED, *ATTRIBUTES_TAKEN) if len(cell) < 300]
        + ["", "", "ada@example.com", "B@C.DE", "UK", "x"]
    ),
    st.text(st.sampled_from('a1@.+-/ 0é字\u0000\u1680\u200a\r\n",'), max_size=8).map(
        lambda text: text.replace("\0", "")
    ),
    st.from_regex(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
    st.from_regex(r"(\+|00)?[0-9 ().-]{5,18}", fullmatch=True),
    st.from_regex(r"[A-Za-z.é]{0,3}@?[a-z.ü]{1,6}", fullmatch=True),
    addresses,
    phones,
    moments,
    numbers,
    neutralised.map("".join),
)
texts = st.just("") | st.tuples(spaces, cores, spaces).map("".join)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file with any columns, with lines of any cells, now and then of another number."""
    names = draw(headers)
    counts = draw(st.lists(st.sampled_from([0, 0, 0, 0, 0, -1, 1]), min_size=1, max_size=6))
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])))
    writer.writerow(names)
    for more in counts:
        count = max(1, len(names) + more)
        row = draw(st.lists(texts, min_size=count, max_size=count))
        writer.writerow(row)
    writer.writerow(["x"])  # a file of blank lines alone is refused as a whole
    return out.getvalue().encode()


@given(
    files(),
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(JOB_MODES),
            "blank_cells": st.sampled_from(["keep", "clear"]),
            "reconciliation_key": st.sampled_from(["email", *KEY_ATTRIBUTES]),
            "rules_version": st.sampled_from([1, 2, 3]),
        }
    ),
    st.integers(20, 400),
)
@settings(deadline=None)
def test_columns_are_judged_as_lines_are(
    content: bytes, changes: dict[str, Any], block_bytes: int
) -> None:
    """The columnar checks and the plain oracle agree on every field of every event."""
    job = accepted_job(attributes=COLUMNS, columns=opposites_in(content), **changes)

    found = [comparable(event, job) for event in events_of(content, job, block_bytes)]
    assert found == [comparable(event, job) for event in read_events(content, job)]


@given(
    files(),
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["upsert", "update", "delete"]),
            "blank_cells": st.sampled_from(["keep", "clear"]),
            "phone_region": st.sampled_from([None, "US", "DE", "IT", "RU"]),
            "date_order": st.sampled_from(["MDY", "DMY", "YMD"]),
            "invalid_optional": st.sampled_from(["reject", "drop"]),
        }
    ),
)
@settings(deadline=None)
def test_a_line_comes_to_the_same_whatever_stands_beside_it(
    content: bytes, changes: dict[str, Any]
) -> None:
    """Columns are checked whole; with options that the plain oracle doesn't know, too."""
    job = accepted_job(attributes=COLUMNS, columns=opposites_in(content), **changes)
    names, *records, last = csv.reader(io.StringIO(content.decode(), newline=""))

    def events(rows: list[list[str]]) -> list[UserRow | RowRejected]:
        out = io.StringIO(newline="")
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([names, *rows, last])
        found = events_of(out.getvalue().encode(), job)[:-1]  # without the last
        return [replace(event, record_number=0, line=0) for event in found]

    assert events(records) == [event for record in records for event in events([record])]


def opposites_in(content: bytes) -> tuple[ColumnMapping, ...]:
    """What is said of the columns that say who has opted out."""
    (names,) = csv.reader([content.decode().partition("\r\n")[0]])
    return tuple(ColumnMapping(name, OPPOSITES[name]) for name in names if name in OPPOSITES)


def comparable(event: UserRow | RowRejected, job: JobAccepted) -> UserRow | RowRejected:
    """The event without the reasons that the oracle does not know."""
    if not isinstance(event, RowRejected) or job.rules_version < 3:
        return event
    further = [
        fault | {"reason": ""} if fault["code"] in UNSEEN_REASONS else fault
        for fault in json.loads(event.further_faults or "[]")
    ]
    reason = "" if event.code in UNSEEN_REASONS else event.reason
    return replace(event, reason=reason, further_faults=json.dumps(further))


@given(files(), st.integers(20, 400))
@settings(deadline=None)
def test_a_survey_counts_what_each_mode_refuses(content: bytes, block_bytes: int) -> None:
    """Lines and rejections of the survey are those of the pass that follows, for each mode."""
    file_format = FileFormat(attributes=COLUMNS, columns=opposites_in(content))
    found = survey(io.BytesIO(content), file_format, Limits(block_bytes=block_bytes))

    for mode, rejected in found.rejected.items():
        events = read_events(content, accepted_job(mode=mode, attributes=COLUMNS))
        assert found.lines == len(events)
        assert rejected == sum(isinstance(event, RowRejected) for event in events)
