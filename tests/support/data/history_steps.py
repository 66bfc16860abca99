"""Random histories of everything that can happen to a log: jobs, other producers, undos, restarts.

A history is a list of steps, each a value that says all of itself when a test fails, and is taken
by :class:`tests.support.servers.one_process.OneProcess`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from hypothesis import strategies as st

from schemas.codec import codec
from schemas.events import JOB_MODES, AttributeDefined, UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from tests.integration.projection.test_projection_histories import OPTIONS, START, job_of
from tests.support.data.passes import MemoryRecord
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.events import JobMode
    from tests.integration.projection.test_projection_histories import Cells
    from tests.support.servers.one_process import OneProcess

KEYS = 5
_EVERY_FIELD = 0b1111111111
_TEXTS = ("Kim", "Lin", "O'Brien", "Ünï 'quoted', \"twice\"\nnext line")


class Step(Protocol):
    """What happens next."""

    def take(self, of: OneProcess) -> None:
        """Let it happen."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A job is accepted; its records wait to be published.

    By partition: first ``begun`` records of a pass that broke off, then the whole pass, then a
    ``late`` piece, its begin and end, of a pass over the job whose place is ``late_of``.
    Rows of other producers are ``among`` them, each after so many records of its partition.
    """

    mode: JobMode
    lines: list[Cells]
    begun: list[int]
    late: list[tuple[int, int]]
    late_of: int
    options: dict[str, Any]
    among: list[tuple[int, UserRow]]

    def take(self, of: OneProcess) -> None:
        """The job comes next in the order of jobs."""
        of.accept(job_of(len(of.jobs), self.mode, self.lines, **self.options))
        late_pass = of.passes[self.late_of % len(of.passes)]
        coming = [
            [*whole[:begun], *whole, *late_pass[partition][slice(*late)]]
            for partition, (whole, begun, late) in enumerate(
                zip(of.passes[-1], self.begun, self.late, strict=True)
            )
        ]
        for after, row in self.among:
            key = row.key.encode()
            records = coming[partition_of(key, PARTITIONS)]
            records.insert(after % len(records), MemoryRecord(key, codec.encode(row)))
        for waiting, records in zip(of.unpublished, coming, strict=True):
            waiting.extend(records)


@dataclass(frozen=True, slots=True)
class Publish:
    """So many records of passes come into each partition."""

    counts: list[int]

    def take(self, of: OneProcess) -> None:
        """Those that have waited longest."""
        of.publish(self.counts)


@dataclass(frozen=True, slots=True)
class Send:
    """Another producer's events come, or writes of the API.

    ``means_holders``: each means the user that has its key by then, if there is one.
    ``have_own_keys``: the records' keys are the rows'.
    ``times``: so often each comes.
    """

    rows: list[UserRow]
    means_holders: bool
    have_own_keys: bool
    times: int

    def take(self, of: OneProcess) -> None:
        """Each to the partition of its key."""
        for row in self.rows:
            holder = of.model_at_end().users.get(row.key) if self.means_holders else None
            event = replace(row, user_id=holder.position) if holder else row
            key = row.key.encode()
            record = MemoryRecord(key if self.have_own_keys else b"another", codec.encode(event))
            of.append(partition_of(key, PARTITIONS), [record] * self.times)


@dataclass(frozen=True, slots=True)
class Poison:
    """A record comes that is no event."""

    partition: int

    def take(self, of: OneProcess) -> None:
        """To that partition."""
        of.append(self.partition, [MemoryRecord(b"user0@example.com", b"poison")])


@dataclass(frozen=True, slots=True)
class Define:
    """An attribute is defined in every partition, maybe not for the first time."""

    event: AttributeDefined

    def take(self, of: OneProcess) -> None:
        """To partition 0 first."""
        record = MemoryRecord(self.event.name.encode(), codec.encode(self.event))
        for partition in range(PARTITIONS):
            of.append(partition, [record])


@dataclass(frozen=True, slots=True)
class Project:
    """The live worker takes a batch, so many records of each partition.

    ``expects_new`` is its guess, wrong or right, that its rows are all new users.
    """

    sizes: list[int]
    expects_new: bool

    def take(self, of: OneProcess) -> None:
        """Of what comes next."""
        of.project(self.sizes, expects_new=self.expects_new)


@dataclass(frozen=True, slots=True)
class Restart:
    """Another worker takes over."""

    def take(self, of: OneProcess) -> None:
        """Where the one before has left off."""
        of.restart()


@dataclass(frozen=True, slots=True)
class Building:
    """How a build goes: when the builder dies, and what happens meanwhile."""

    deaths: list[int]
    meanwhile: list[Step]

    def build(self, of: OneProcess, purpose: str) -> None:
        """Live = rebuilt = folded = modelled, as soon as it has taken the live one's place."""
        steps: list[Callable[[], None]] = [partial(step.take, of) for step in self.meanwhile]
        of.build(purpose, deaths=self.deaths, meanwhile=steps)
        of.assert_as_modelled()
        of.assert_proven()


@dataclass(frozen=True, slots=True)
class Change:
    """A job is undone, or done again where it is undone; ``building`` None: not built yet.

    ``cancels``: or cancelled. Jobs that have not begun are left out of the live tables first.

    ``has_idle_ones``: changes that count for nothing come before.
    """

    which: int
    cancels: bool
    has_idle_ones: bool
    building: Building | None

    def take(self, of: OneProcess) -> None:
        """Some job that there is, whether it has ended or not."""
        if not of.jobs:
            return
        if self.has_idle_ones:
            # Of another job: what it would do must not be what comes next.
            of.change_nothing(of.jobs[(self.which + 1) % len(of.jobs)].job_id)
        of.change(of.jobs[self.which % len(of.jobs)].job_id, cancels=self.cancels)
        of.leave_out()
        if self.building is not None:
            self.building.build(of, "undo")


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The live tables are rebuilt and switched; not without what is only asked to be undone."""

    building: Building

    def take(self, of: OneProcess) -> None:
        """From the log as it is."""
        self.building.build(of, "rebuild")


def _by_partition(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=PARTITIONS, max_size=PARTITIONS)


def _mostly(usual: object, *rare: object) -> st.SearchStrategy[Any]:
    """The usual value, in about one case of eight one of the rare ones."""
    return st.sampled_from([usual] * 7 * len(rare) + list(rare))


_keys = st.integers(0, KEYS - 1)
_cells = st.tuples(
    _keys,
    st.sampled_from(["Ada", "Grace", "Joan"]) | _mostly("Ada", ""),
    st.sampled_from(["Lovelace", "O'Brien, jr."]),
    _mostly("", "+4930123456", "oops"),
    st.sampled_from(["France", "Japan"]) | _mostly("USA", ""),
    st.sampled_from(["Texas", "Texas", ""]),
    st.sampled_from(["", "2024-02-29", "12/31/2023"]),
    st.sampled_from(["", "true", "false"]),
    st.sampled_from(["", "true", "false"]),
)
_FLAWS: tuple[dict[str, Any], ...] = (
    {"first_name": ""},
    {"state": " Goa"},
    {"country": "x" * 256},
    {"email": "user@example"},
    {"email": "stranger@example.com"},
    {"mobile_number": "030 1"},
    {"job_id": 1},
    {"job_id": 1, "record_number": 1, "line": 2, "sequence": 0, "source": "crm"},
)
"""What makes a row unfit, whatever the log and the tables hold."""
_odd_ids = st.sampled_from([None, "no plain id"])


@st.composite
def _rows(draw: st.DrawFn) -> UserRow:
    """An event of another producer, or a write of the API, that may or may not count."""
    key = f"user{draw(_keys)}@example.com"
    text = st.sampled_from(_TEXTS)
    if draw(_mostly(False, True)):
        text = st.none() | text
    attributes = st.dictionaries(
        st.sampled_from(["tier", "score", "vip"]),
        st.sampled_from([None, "true", "0.5", "-3", 'a "b" \\']),
        max_size=int(draw(_mostly(0, 2))),
    )
    row = UserRow(
        event_id=f"e{draw(st.integers(1, 9))}" if draw(_mostly(1, 0)) else draw(_odd_ids),
        mode=draw(st.sampled_from(["insert", "upsert", "upsert", "delete"])),
        key=key,
        first_name=draw(text),
        last_name=draw(text),
        email=draw(st.sampled_from([key, key.upper()])),
        country=draw(text),
        state=draw(st.none() | text),
        sms_subscription=draw(st.sampled_from([None, True, False])),
        last_active_date=draw(st.sampled_from([None, START.date()])),
        attributes=draw(attributes),
        present=draw(st.one_of(st.just(_EVERY_FIELD), st.integers(0, _EVERY_FIELD))),
        occurred_at=START + timedelta(seconds=draw(st.integers(0, 9))),
        source=draw(st.sampled_from([API_SOURCE, API_SOURCE, "crm", "crm", None])),
        user_id=draw(_mostly(None, 7)),
    )
    return replace(row, **draw(_mostly(dict[str, Any](), *_FLAWS)))


_uploads = st.builds(
    Upload,
    mode=st.sampled_from(JOB_MODES),
    lines=st.lists(_cells, min_size=1, max_size=12),
    begun=_by_partition(st.sampled_from([0, 0, 1, 2, 5])),
    late=_by_partition(st.tuples(st.integers(0, 4), st.integers(0, 8))),
    late_of=st.integers(0, 3),
    options=OPTIONS,
    among=st.lists(st.tuples(st.integers(0, 15), _rows()), max_size=6),
)
_sent = st.builds(
    Send,
    rows=st.lists(_rows(), min_size=1, max_size=5),
    means_holders=_mostly(False, True),
    have_own_keys=_mostly(True, False),
    times=st.sampled_from([1, 1, 1, 2]),
)
DEFINITIONS = st.builds(
    AttributeDefined,
    name=st.sampled_from(["tier", "score", "vip"]),
    type=st.sampled_from(["string", "number", "boolean"]),
    is_reconciliation_key=st.just(False),
    is_indexed=st.booleans(),
    defined_at=st.just(START),
    defined_by=st.just("admin"),
)
"""Of attributes, few enough that a name comes again with another type."""
_defined = st.builds(Define, DEFINITIONS)
_published = st.builds(Publish, _by_partition(st.sampled_from([0, 1, 2, 5, 50])))
_projected = st.builds(
    Project, sizes=_by_partition(st.sampled_from([0, 1, 2, 7, 40])), expects_new=st.booleans()
)
_log_steps = st.one_of(
    _published,
    _published,
    _sent,
    _sent,
    _projected,
    _projected,
    st.just(Restart()),
    _defined | st.builds(Poison, st.integers(0, PARTITIONS - 1)),
)
_buildings = st.builds(
    Building,
    deaths=st.lists(st.integers(1, 8), max_size=2),
    meanwhile=st.lists(_log_steps, max_size=3),
)
_changes = st.builds(
    Change,
    which=st.integers(0, 3),
    cancels=st.sampled_from([False, False, True]),
    has_idle_ones=st.sampled_from([False, False, True]),
    building=st.one_of(_buildings, _buildings, st.none()),
)
_all = [50] * PARTITIONS
_come_up = [Publish(_all), Project(_all, expects_new=True)]


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Some jobs, each with what comes around it; undos and a rebuild among them."""
    steps: list[Step] = draw(st.lists(_defined, max_size=2))
    jobs = draw(st.integers(2, 4))
    rebuilt_after = draw(st.integers(0, jobs - 1))
    for number in range(jobs):
        steps.append(draw(_uploads))
        steps += draw(st.lists(_log_steps, max_size=6))
        steps += draw(_mostly(_come_up, []))
        steps += draw(st.lists(_sent, max_size=1))
        if number == rebuilt_after:
            steps.append(Rebuild(draw(_buildings)))
        steps += draw(st.lists(_changes, min_size=int(number > 0), max_size=2))
    return steps
