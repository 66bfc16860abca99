"""Whose data is to be erased, and how it is told in records and rows."""

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
    """The key as the log has it: an email in lower case, a mobile number in E.164."""
    if key_setting == "email":
        return key.strip().lower()
    if key_setting == _MOBILE:
        return re.sub("^00", "+", re.sub(MOBILE_PUNCTUATION, "", key.strip()))
    return key.strip()


@dataclass(frozen=True, slots=True)
class Person:
    """One user of the log, by the normalised reconciliation key.

    ``jobs`` say how a refused line is to be read, by job id.
    """

    key: str
    key_setting: str
    jobs: Mapping[int, JobAccepted]

    @property
    def is_telling(self) -> bool:
        """Whether the key means the person wherever it stands, as an address or a number does.

        The value of a custom attribute may be a word or a number like any other.
        """
        return self.key_setting in KEY_FIELD

    @property
    def pattern(self) -> str:
        """What finds a telling key in lower-case text, for Python and for Postgres alike.

        What is part of a longer address or number is another one.
        """
        if self.key_setting == _MOBILE:
            digits = f"{MOBILE_PUNCTUATION}*".join(self.key.removeprefix("+"))
            return rf"(\+|00){MOBILE_PUNCTUATION}*{digits}(?![0-9])"
        before, after = "[a-z0-9._%+@-]", r"([a-z0-9@-]|\.[a-z0-9])"
        return f"(?<!{before}){re.escape(self.key)}(?!{after})"

    def stands_in(self, text: str) -> bool:
        """Whether the text says the key; one that tells nothing by itself must be all of it."""
        if not self.is_telling:
            return text.strip() == self.key
        return re.search(self.pattern, text.lower()) is not None

    def is_hinted(self, *records: Record) -> bool:
        """False where surely none of them has the key; asked of thousands at once."""
        values = [part for record in records for part in (record.key(), record.value())]
        joined = b"\0".join(value or b"" for value in values)
        if self.key_setting == _MOBILE:
            digits = f"{MOBILE_PUNCTUATION}*".join(self.key.removeprefix("+"))
            return re.search(digits.encode(), joined) is not None
        if self.key.isascii():
            return self.key.lower().encode() in joined.lower()
        return self.key.lower() in joined.decode(errors="replace").lower()

    def owns(self, record: Record) -> bool:
        """Whether the record is the person's: of the key, a refused line with it, or no event.

        Another producer's row may say the key as nobody normalised it, and is a dead letter.
        """
        if not self.is_hinted(record):
            return False
        try:
            event = decode(record.value())
        except UndecodableError:
            return True  # it says the key, and nothing else can be told of it
        if isinstance(event, RowRejected):
            return self._owns_line(event)
        if not isinstance(event, UserRow):
            return False
        return self.key in {event.key, _text(record.key()), self._normalised(event.key)}

    def _normalised(self, key: str) -> str | None:
        field = KEY_FIELD.get(self.key_setting)
        return normalised_key(field, key) if field is not None else key.strip()

    def is_mentioned(self, record: Record) -> bool:
        """Whether the record says the key, whosever it is."""
        if not self.is_hinted(record):
            return False
        try:
            event = decode(record.value())
        except UndecodableError:
            return True
        texts = [_text(record.key()), *_texts(asdict(event))]
        return self.owns(record) or any(map(self.stands_in, texts))

    def _owns_line(self, refused: RowRejected) -> bool:
        """Whether the refused line has the key: in the key's column, where it can be told."""
        job = self.jobs.get(refused.job_id)
        if self.is_telling or job is None:
            return self.stands_in(refused.raw) or self.stands_in(refused.value or "")
        cells = [cell.strip().strip('"') for cell in split(refused.raw, job.delimiter)]
        names = [plain_name(name) for name in cells_of(job.header or "", job.delimiter)]
        if len(names) == len(cells):
            wanted = plain_name(self.key_setting)
            cells = [cell for name, cell in zip(names, cells, strict=True) if name == wanted]
        return any(map(self.stands_in, cells))


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def _texts(value: Any) -> Iterator[str]:
    """Every text in an event's values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in cast("dict[str, Any]", value).values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in cast("list[Any]", value):
            yield from _texts(part)
