"""The data subject of an erasure, and how their records and rows are recognised."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from ingest_api.jobs.error_csv import split
from ingest_api.parsing.header import cells_of
from schemas.codec.codec import UndecodableError, decode
from schemas.events import RowRejected, UserRow
from schemas.rules.attributes import plain_name
from schemas.rules.fields import KEY_FIELD, MOBILE_PUNCTUATION
from schemas.rules.producer_rows import normalised_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processor.decoding.records import Record
    from schemas.events import JobAccepted

_MOBILE = "mobileNumber"


def normalised(key: str, key_setting: str) -> str:
    """Return the key as the log has it: an email in lower case, a mobile number in E.164."""
    if key_setting == "email":
        return key.strip().lower()
    if key_setting == _MOBILE:
        return re.sub("^00", "+", re.sub(MOBILE_PUNCTUATION, "", key.strip()))
    return key.strip()


@dataclass(frozen=True, slots=True)
class DataSubject:
    """One user of the log, by the normalised reconciliation key.

    ``jobs``, by job id, tell how a refused line is parsed.
    """

    key: str
    key_setting: str
    jobs: Mapping[int, JobAccepted]

    @property
    def is_unambiguous(self) -> bool:
        """True where the key identifies the data subject anywhere, as an email or a number does.

        The value of a custom attribute may be a word or a number like any other.
        """
        return self.key_setting in KEY_FIELD

    @property
    def pattern(self) -> str:
        """A regular expression of an unambiguous key in lower-case text, for Python and Postgres.

        It does not match within a longer address or number.
        """
        if self.key_setting == _MOBILE:
            digits = f"{MOBILE_PUNCTUATION}*".join(self.key.removeprefix("+"))
            return rf"(\+|00){MOBILE_PUNCTUATION}*{digits}(?![0-9])"
        before, after = "[a-z0-9._%+@-]", r"([a-z0-9@-]|\.[a-z0-9])"
        return f"(?<!{before}){re.escape(self.key)}(?!{after})"

    def occurs_in(self, text: str) -> bool:
        """Return whether the text holds the key; an ambiguous key must be the whole text."""
        if not self.is_unambiguous:
            return text.strip() == self.key
        return re.search(self.pattern, text.lower()) is not None

    def may_mention(self, *records: Record) -> bool:
        """Return False where certainly no record has the key: a fast test for thousands at once."""
        values = [part for record in records for part in (record.key(), record.value())]
        joined = b"\0".join(value or b"" for value in values)
        if self.key_setting == _MOBILE:
            digits = f"{MOBILE_PUNCTUATION}*".join(self.key.removeprefix("+"))
            return re.search(digits.encode(), joined) is not None
        if self.key.isascii():
            return self.key.lower().encode() in joined.lower()
        return self.key.lower() in joined.decode(errors="replace").lower()

    def owns(self, record: Record) -> bool:
        """Return whether the record is the data subject's: a row, a refused line, or undecodable.

        A producer row may hold the key unnormalised; it is a dead letter.
        """
        if not self.may_mention(record):
            return False
        try:
            event = decode(record.value())
        except UndecodableError:
            return True  # it holds the key, and nothing else is known of it
        if isinstance(event, RowRejected):
            return self._owns_line(event)
        if not isinstance(event, UserRow):
            return False
        return self.key in {event.key, _text(record.key()), self._normalised(event.key)}

    def _normalised(self, key: str) -> str | None:
        field = KEY_FIELD.get(self.key_setting)
        return normalised_key(field, key) if field is not None else key.strip()

    def mentions(self, record: Record) -> bool:
        """Return whether the record mentions the key, whosever record it is."""
        if not self.may_mention(record):
            return False
        try:
            event = decode(record.value())
        except UndecodableError:
            return True
        texts = [_text(record.key()), *_texts(asdict(event))]
        return self.owns(record) or any(map(self.occurs_in, texts))

    def _owns_line(self, refused: RowRejected) -> bool:
        """Return whether the refused line has the key, in the key's column where that is known."""
        job = self.jobs.get(refused.job_id)
        if self.is_unambiguous or job is None:
            return self.occurs_in(refused.raw) or self.occurs_in(refused.value or "")
        cells = [cell.strip().strip('"') for cell in split(refused.raw, job.delimiter)]
        mapped = {plain_name(each.header): plain_name(each.field) for each in job.columns}
        names = [plain_name(name) for name in cells_of(job.header or "", job.delimiter)]
        names = [mapped.get(name, name) for name in names]
        if len(names) == len(cells):
            key_name = plain_name(self.key_setting)
            cells = [cell for name, cell in zip(names, cells, strict=True) if name == key_name]
        return any(map(self.occurs_in, cells))


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in an event's values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in cast("dict[str, Any]", value).values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in cast("list[Any]", value):
            yield from _texts(part)
