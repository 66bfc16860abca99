"""A whole installation in one process, without HTTP: the log in Kafka, a live worker, the builder.

The live worker is driven a batch at a time, from a copy of the log that is kept in memory at the
same offsets; whatever is built, verified and compared is read from Kafka.
Nothing runs by itself, so a history comes out the same whenever it is gone through again.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import Producer

from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder.build import Build
from processor.builder.leave_out import leave_out_unopened
from processor.builder.reverts_follower import RevertsFollower
from processor.errors import SupersededError
from processor.kafka.log_description import describe_log
from processor.kafka.row_reader import LogReader
from processor.projection.projection import Projection
from processor.projection.session import ProjectionSession
from processor.tables.generations import Generations
from processor.tables.instance_registry import fetch_active, fetch_next_to_build, next_offsets
from processor.tables.setup import ensure_active
from processor.verification.verify import verify
from schemas.codec import codec
from schemas.events import JobCancelled, JobRestored, JobReverted, JobVoided
from schemas.read_model.tables import HIDE_CANCELLED
from tests.support.clients.projections import instance, request
from tests.support.data.passes import MemoryLog, make_pass
from tests.support.data.projection_scene import Worker
from tests.support.data.read_model_rows import ACCEPTED
from tests.support.models.log_model import LogModel
from tests.support.models.log_verdict import assert_as_followed
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from processor.tables.instance_registry import Instance
    from schemas.events import JobAccepted
    from schemas.log.reverts import Revert, Reverts
    from tests.support.data.passes import MemoryRecord, Pass
    from tests.support.models.model import Job
    from tests.support.servers.surroundings import Ground

_TIMEOUT_S = 60


class KilledError(BaseException):
    """The builder dies here: nothing that it has not committed is left."""


@dataclass(slots=True)
class OneProcess:
    """The parts, and what the history has come to.

    ``unpublished`` are records of passes, by partition, that the log does not have yet;
    ``reverted`` are the jobs that `job-events` says are reverted, as the test has it from what
    it appended; ``shown_without`` those that the live tables leave out; ``hidden`` those that were
    ``cancelled`` before they had ended.
    """

    env: Ground
    log: MemoryLog
    producer: Producer
    worker: Worker
    follower: RevertsFollower
    jobs: list[Job] = field(default_factory=list["Job"])
    passes: list[Pass] = field(default_factory=list["Pass"])
    unpublished: Pass = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    reverted: frozenset[int] = frozenset()
    shown_without: frozenset[int] = frozenset()
    cancelled: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()
    changes: list[Revert | JobRestored] = field(default_factory=list["Revert | JobRestored"])
    _is_superseded: bool = False
    _attempts: Iterator[str] = field(default_factory=lambda: map(str, itertools.count()))

    @classmethod
    def start(cls, env: Ground) -> OneProcess:
        """Empty topics and tables, and a worker that has claimed every partition."""
        ensure_topics(env.settings)
        with psycopg.connect(env.conninfo) as connection:
            ensure_active(connection, env.settings, describe_log(env.settings))
        log = MemoryLog([[] for _ in range(PARTITIONS)])
        producer = Producer({**env.settings.kafka, "enable.idempotence": True, "linger.ms": 0})
        return cls(env, log, producer, _live_worker(env), RevertsFollower(env.settings))

    def close(self) -> None:
        """End the worker's session and the builder's reading."""
        self.worker.session.close()
        self.follower.close()

    # What others append to the log.

    def accept(self, job: Job) -> None:
        """The job stands in `job-events`; its pass is the last of ``passes``, and not published."""
        before = self.jobs[-1].job_id if self.jobs else 0
        self.jobs.append(job)
        self.passes.append(make_pass(job, before, PARTITIONS))
        self._append_job_events(
            replace(ACCEPTED, job_id=job.job_id, mode=job.mode, accepted_at=job.accepted_at)
        )

    def publish(self, counts: Sequence[int]) -> None:
        """So many waiting records of each partition come into the log."""
        for partition, count in enumerate(counts):
            waiting = self.unpublished[partition]
            self.append(partition, waiting[:count])
            del waiting[:count]
        self._flush()

    def append(self, partition: int, records: Sequence[MemoryRecord]) -> None:
        """These records come into the log, in memory and in Kafka."""
        self.log.append(partition, records)
        name = self.env.settings.topics.user_events.name
        for record in self.log.partitions[partition][-len(records) :] if records else ():
            self.producer.produce(
                name, record.value(), record.key(), partition, timestamp=record.timestamp()[1]
            )
        self._flush()

    def change(self, job_id: int, *, cancels: bool = False) -> None:
        """An undo of the job comes into `job-events`, or a redo where it is reverted.

        ``cancels``: for good, where it is not reverted yet; a cancelled job stays as it is.
        """
        if job_id in self.cancelled:
            return
        change = _restored if job_id in self.reverted else _cancelled if cancels else _reverted
        self.changes.append(change(job_id, next(self._attempts)))
        self._append_job_events(self.changes[-1])
        self.reverted ^= {job_id}
        if change is _cancelled:
            self.cancelled |= {job_id}
            self._hide(job_id)

    def _hide(self, job_id: int) -> None:
        """Do as the API does, before it answers, with what has not ended."""
        with psycopg.connect(self.env.conninfo) as connection:
            hidden = connection.execute(HIDE_CANCELLED, {"job_ids": [job_id]}).fetchall()
        self.hidden |= {row[0] for row in hidden}

    def change_nothing(self, job_id: int) -> None:
        """Undos and redos come into `job-events` that change nothing.

        One of what is so already, one of no job, late repeats, one that was voided before.
        """
        is_reverted = job_id in self.reverted
        change, same = (_restored, _reverted) if is_reverted else (_reverted, _restored)
        voided = change(job_id, next(self._attempts))
        self._append_job_events(
            same(job_id, next(self._attempts)),
            _reverted(1 + max(job.job_id for job in self.jobs), next(self._attempts)),
            *self.changes,
            JobVoided(job_id=job_id, attempt=voided.attempt),
            voided,
        )

    def _append_job_events(self, *events: JobAccepted | JobVoided | Revert | JobRestored) -> None:
        name = self.env.settings.topics.job_events.name
        for event in events:
            self.producer.produce(name, codec.encode(event), str(event.job_id).encode(), 0)
        self._flush()

    def _flush(self) -> None:
        assert self.producer.flush(_TIMEOUT_S) == 0

    # What the live worker does.

    def project(self, sizes: Sequence[int], *, expects_new: bool) -> None:
        """The live worker's next batch; one that a switch has superseded only finds that out."""
        self.worker.expects_new = expects_new
        try:
            was_anything_left = self.worker.project(self.log, list(sizes))
        except SupersededError:
            assert self._is_superseded, "nobody else has claimed"
            self.restart()
            return
        assert not (was_anything_left and self._is_superseded)

    def restart(self) -> None:
        """Another worker takes over; the one before could not write any more."""
        former, self.worker = self.worker, _live_worker(self.env)
        self._is_superseded = False
        with contextlib.suppress(SupersededError):
            assert not former.project(self.log, [20] * PARTITIONS)
        former.session.close()

    def project_all(self) -> None:
        """The live worker comes to the end of the log."""
        if self._is_superseded:
            self.restart()
        while not self.worker.is_at_end(self.log):
            self.project([10_000] * PARTITIONS, expects_new=False)

    # What the builder does.

    def build(
        self,
        purpose: str,
        *,
        deaths: Iterable[int] = (),
        meanwhile: Sequence[Callable[[], None]] = (),
    ) -> dict[str, Any]:
        """Ask for an instance and build it; its row in the registry.

        The builder dies once at each of ``deaths``, counted by its looks at whether it should
        stop, and another one goes on.  Between those looks the rest of the world does what
        ``meanwhile`` says, as long as no switch holds it up.
        """
        number = request(self.env, purpose)
        waiting = list(meanwhile)
        for looks in [*deaths, None]:
            try:
                self._build_next(_Looks(self.env, number, looks, waiting))
            except KilledError:
                self.follower.close()
                self.follower = RevertsFollower(self.env.settings)
            else:
                break
        built = instance(self.env, number)
        if purpose in {"rebuild", "undo"}:
            assert built["state"] == "active", built
            self._is_superseded = True
        if purpose == "undo":
            self.shown_without = self.reverted
        assert built["reverted_job_ids"] == sorted(self.shown_without)
        for step in waiting:
            step()
        return built

    def _build_next(self, looks: _Looks) -> None:
        settings = self.env.settings
        with psycopg.connect(self.env.conninfo, autocommit=True) as connection:
            wanted = fetch_next_to_build(connection.cursor())
            assert wanted is not None
            Build(settings, connection, wanted, looks.should_stop).run(
                describe_log(settings), self._read_reverts()
            )

    def _read_reverts(self) -> Reverts:
        """What the builder knows of undos, once it has read all that was appended."""
        wait_until(
            lambda: not self.changes or self._is_decided(self.changes[-1]),
            _TIMEOUT_S,
            saying="the builder has read `job-events`",
        )
        return self.follower.read()

    def _is_decided(self, change: Revert | JobRestored) -> bool:
        return self.follower.read().decision(change.job_id, change.attempt) is not None

    def leave_out(self) -> None:
        """The builder lets the live tables leave out what they hold nothing of."""
        reverts = self._read_reverts()
        with psycopg.connect(self.env.conninfo, autocommit=True) as connection:
            active = _active(self.env)
            if leave_out_unopened(connection, active, reverts.now()):
                self._is_superseded = True
        self.shown_without = _active(self.env).reverted

    # What must hold.

    def assert_as_modelled(self) -> None:
        """Fail unless readers see what the log comes to so far, without the jobs left out."""
        assert_as_followed(self.env, self.model(_reached(self.env)))

    def finish(self) -> None:
        """All that waits happens; fail unless it comes to the model, and every job has ended."""
        self.publish([len(records) for records in self.unpublished])
        self.project_all()
        if self.reverted != self.shown_without:
            self.build("undo")
        self.assert_as_modelled()
        self.assert_proven()
        model = self.model_at_end()
        assert all(model.is_whole(job.job_id) for job in self.jobs)

    def model_at_end(self) -> LogModel:
        """What all of the log comes to."""
        return self.model([len(records) for records in self.log.partitions])

    def model(self, ends: Sequence[int]) -> LogModel:
        """What the log comes to before these offsets, without the jobs that readers don't see."""
        followed = LogModel(self.jobs, PARTITIONS, self.shown_without, self.hidden)
        for partition, end in enumerate(ends):
            followed.follow(partition, self.log.partitions[partition][:end])
        return followed

    def assert_proven(self) -> None:
        """Fail unless live = rebuilt, table by table, and live = the log as it is folded apart."""
        built = self.build("verify")
        assert built["result"]["isEqual"], built["result"]
        active = _active(self.env)
        folded = verify(self.env.settings, active.schema, reverted=active.reverted)
        assert folded.is_proven, folded.findings


@dataclass(slots=True)
class _Looks:
    """What happens whenever a builder looks whether it should stop."""

    env: Ground
    number: int
    dies_after: int | None
    meanwhile: list[Callable[[], None]]
    _count: int = 0

    def should_stop(self) -> bool:
        """Never; but it may die here."""
        self._count += 1
        if self._count == self.dies_after:
            raise KilledError
        if self.meanwhile and instance(self.env, self.number)["step"] != "switching":
            self.meanwhile.pop(0)()
        return False


def _active(env: Ground) -> Instance:
    """The instance that readers see."""
    with psycopg.connect(env.conninfo) as connection:
        active = fetch_active(connection.cursor())
    assert active is not None
    return active


def _live_worker(env: Ground) -> Worker:
    """A worker of the active instance, which has claimed every partition."""
    settings, active = env.settings, _active(env)
    projection = Projection(
        settings,
        generations=Generations(active.schema, PARTITIONS),
        read_rows=LogReader(settings).read_rows,
        reverted=active.reverted,
    )
    worker = Worker(ProjectionSession(settings, active.schema), projection)
    worker.claim()
    return worker


def _reached(env: Ground) -> list[int]:
    """How far the tables are that readers see."""
    with psycopg.connect(env.conninfo) as connection:
        return next_offsets(connection.cursor(), _active(env).schema)


def _reverted(job_id: int, attempt: str) -> JobReverted:
    return JobReverted(
        job_id=job_id,
        attempt=attempt,
        requested_at=ACCEPTED.accepted_at,
        requested_by="admin",
        inserted=0,
        updated=0,
        unchanged=0,
        rejected=0,
    )


def _cancelled(job_id: int, attempt: str) -> JobCancelled:
    return JobCancelled(
        job_id=job_id,
        attempt=attempt,
        requested_at=ACCEPTED.accepted_at,
        requested_by="admin",
    )


def _restored(job_id: int, attempt: str) -> JobRestored:
    return JobRestored(
        job_id=job_id,
        attempt=attempt,
        requested_at=ACCEPTED.accepted_at,
        requested_by="admin",
    )
