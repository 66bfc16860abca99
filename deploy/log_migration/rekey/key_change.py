"""Maps old keys to new ones, from all rows of a log before any is written anew.

The mapping must be one to one in the whole log: then every row meets under its new key
just the rows that it met under its old one, and has the same outcome.  Where it is not,
the move is refused, and the message names the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.rekey.job_order import PartitionReader
from schemas.events import JobOpened, UserRow
from schemas.rules.attributes import is_attribute
from schemas.rules.fields import MAX_KEY_BYTES
from schemas.rules.modes import MODES
from schemas.rules.overwrite import ATTRIBUTES_BIT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from deploy.log_migration.rekey.job_order import CountedRecord
    from schemas.config.settings import Settings
    from schemas.rules.fields import Field

_SHOWN: Final = 20
_MISSING: Final = "it has no {field}, which is to be the key"


@dataclass(frozen=True, slots=True)
class _Unfit:
    where: str
    key: str
    why: str

    def __str__(self) -> str:
        return f"  {self.where}, key {self.key}: {self.why}"


class KeyChange:
    """New keys by old ones; :meth:`learn` adds to it."""

    def __init__(self, field: Field) -> None:
        """``field``: the one whose value becomes the key."""
        self._field = field
        self._new: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._unfit: list[_Unfit] = []
        self._unfit_count = 0
        self._needing: dict[str, _Unfit] = {}

    def new_key(self, old: str) -> str:
        """Return the new key of an old one; a key that never made a user stays as it is."""
        return self._new.get(old, old)

    def learn(self, counted: CountedRecord, row: UserRow, job: JobOpened | None) -> None:
        """Read a row that may have had an effect; ``job`` is its job, if it is of one."""
        value = self._value(row)
        if row.mode == "delete" or (self._keeps(job) and row.key in self._new):
            return
        if value is None:
            self._learn_without(counted, row)
        elif len(value.encode()) > MAX_KEY_BYTES:
            self._refuse(counted, row, f"its {self._name} is longer than {MAX_KEY_BYTES} bytes")
        elif self._new.setdefault(row.key, value) != value:
            self._refuse(counted, row, f"its {self._name} is another one than in an earlier row")
        elif (other := self._old.setdefault(value, row.key)) != row.key:
            self._refuse(counted, row, f"the user with the key {other} has the same {self._name}")

    def check(self) -> None:
        """Check that every row that may have made or changed a user has a new key.

        Raises:
            MoveRefusedError: some have none; the message counts them and names the first.
        """
        needing = [unfit for key, unfit in self._needing.items() if key not in self._new]
        count = self._unfit_count + len(needing)
        if count:
            shown = [str(unfit) for unfit in (*self._unfit, *needing)[:_SHOWN]]
            raise MoveRefusedError(
                f"{count} rows of the log do not fit a log whose key is {self._name}; the first:\n"
                + "\n".join(shown)
            )

    @property
    def _name(self) -> str:
        return self._field.json_name

    def _keeps(self, job: JobOpened | None) -> bool:
        """Return whether the job's lines leave a user's new key as it is."""
        if job is None:
            return False
        bit = ATTRIBUTES_BIT if is_attribute(self._field) else self._field.bit
        return MODES[job.mode].existing == "kept" or bool(job.fills & bit)

    def _value(self, row: UserRow) -> str | None:
        field = self._field
        if is_attribute(field):
            return row.attributes.get(field.json_name)
        value: str | None = getattr(row, field.name)
        return value.strip().lower() if value and field.kind == "email" else value

    def _learn_without(self, counted: CountedRecord, row: UserRow) -> None:
        """Learn no key; an upsert's user may get the new key from another row."""
        if row.mode != "upsert":
            self._refuse(counted, row, _MISSING.format(field=self._name))
        elif self._is_cleared(row):
            self._refuse(counted, row, f"it takes the user's {self._name} away")
        else:
            why = f"no row says the user's {self._name}, which is to be the key"
            self._needing.setdefault(row.key, _Unfit(_where(counted, row), row.key, why))

    def _is_cleared(self, row: UserRow) -> bool:
        field = self._field
        if is_attribute(field):
            return field.json_name in row.attributes
        return bool(row.present & field.bit) and not field.is_never_cleared

    def _refuse(self, counted: CountedRecord, row: UserRow, why: str) -> None:
        self._unfit_count += 1
        if len(self._unfit) < _SHOWN:
            self._unfit.append(_Unfit(_where(counted, row), row.key, why))


def _where(counted: CountedRecord, row: UserRow) -> str:
    if row.job_id is None:
        return f"partition {counted.partition}, offset {counted.record.offset()}"
    return f"job {row.job_id}, line {row.line} (record {row.record_number})"


class KeyScan:
    """Reads a log for a :class:`KeyChange`, job by job, in steps up to given end offsets."""

    def __init__(self, old: Settings, change: KeyChange) -> None:
        self.change = change
        self._readers = [
            PartitionReader(old, number) for number in range(old.topics.user_events.partitions)
        ]
        self._jobs = 0

    def scan(self, ends: Sequence[int], jobs: int, refused: Collection[tuple[int, int]]) -> None:
        """Learn from the first ``jobs`` jobs, which end before these offsets, and the rows around.

        ``refused``: lines that had no effect, by job and record number.
        """
        for reader, end in zip(self._readers, ends, strict=True):
            reader.read_up_to(end)
            job: JobOpened | None = None
            for _ in range(2 * (jobs - self._jobs)):
                self._learn(reader.section(), refused, job)
                bracket = reader.bracket().event
                job = bracket if isinstance(bracket, JobOpened) else None
            # A log that cannot be rekeyed is refused now, before it is held.
            self._learn(reader.section(), refused, None)
        self._jobs = jobs

    def _learn(
        self,
        section: Iterable[CountedRecord],
        refused: Collection[tuple[int, int]],
        job: JobOpened | None,
    ) -> None:
        for counted in section:
            row = counted.event
            if isinstance(row, UserRow) and (row.job_id, row.record_number) not in refused:
                self.change.learn(counted, row, None if row.job_id is None else job)
