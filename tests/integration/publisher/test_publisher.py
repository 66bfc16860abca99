"""Accepted jobs get into `user-events` whole, in their order, whatever happens to publishers."""

from __future__ import annotations

import io
import random
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest_api.publisher.encode_pass import FilePass
from schemas.events import (
    NO_JOB,
    JobOpened,
    JobSealed,
    JobVoided,
    RowRejected,
)
from schemas.rules.fields import RULES_VERSION
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.models.file_oracle import accepted_job
from tests.support.servers.services import Services
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.events import JobAccepted
    from tests.support.clients.published_log import World
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground

from tests.support.clients.published_log import TIMEOUT_S, decoded


def applied(partition: list[bytes]) -> dict[int, list[bytes]]:
    """The rows of each job that a processor applies, by the accept rule, in the order of jobs."""
    found: dict[int, list[bytes]] = {}
    sealed, is_open = NO_JOB, NO_JOB
    for value, event in decoded(partition):
        match event:
            case JobOpened(job_id=job_id, previous_job_id=previous) if previous == sealed:
                is_open = job_id
                found.setdefault(job_id, [])
            case {"job_id": job_id, "sequence": sequence} | RowRejected(
                job_id=job_id, sequence=sequence
            ):
                if job_id == is_open and sequence == len(found[is_open]):
                    found[is_open].append(value)
            case JobSealed(job_id=job_id, rows=rows, digest=digest) if job_id == is_open:
                if rows == len(found[is_open]):
                    assert digest == zlib.crc32(b"".join(found[is_open]))
                    sealed, is_open = is_open, NO_JOB
            case _:
                pass
    assert is_open == NO_JOB
    return found


def assert_applied(world: World, jobs: list[JobAccepted]) -> None:
    """Fail unless the log comes to exactly these jobs, each row once, in one order."""
    log = world.log()
    made = [FilePass(io.BytesIO(world.files[job.job_id]), job, len(log)) for job in jobs]
    expected: list[dict[int, list[bytes]]] = [
        {job.job_id: list[bytes]() for job in jobs} for _ in log
    ]
    for job, file_pass in zip(jobs, made, strict=True):
        for block in file_pass.blocks():
            for partition, (_, values) in block.items():
                expected[partition][job.job_id] += values
    for partition, found in enumerate(map(applied, log)):
        assert list(found) == [job.job_id for job in jobs]
        assert found == expected[partition]


def wait_logged(service: Service, text: str) -> None:
    """Return once the service has logged this."""
    wait_until(lambda: text in service.log_text(), TIMEOUT_S, saying=f"{text!r} is logged")


def test_jobs_are_published_whole_and_in_order(world: World) -> None:
    """Each partition gets every job, opened and sealed, rows and rejections between."""
    rng = random.Random(5)
    jobs = [
        world.accept(1, dirty_csv(rng, 400, keys=200).replace(b"two\nlines", b"two lines")),
        world.accept(2, tidy_csv([1]), mode="upsert"),
        world.accept(3, tidy_csv(range(5000)), mode="delsert"),
    ]
    world.services.publisher()

    world.wait_sealed(3)

    assert_applied(world, jobs)
    assert [world.seals(job.job_id) for job in jobs] == [[1] * len(world.log())] * 3


def test_a_void_attempt_is_not_published(world: World) -> None:
    """Only the attempt that counts is; the next job names the one before that."""
    world.append(JobVoided(job_id=1, attempt="attempt"), world.topics.job_events.name)
    world.accept(1, tidy_csv([1]))
    first = world.accept(2, tidy_csv([2]))
    world.accept(2, tidy_csv([3]), attempt="another")
    world.files[2] = tidy_csv([2])
    last = world.accept(3, tidy_csv([3]))
    world.services.publisher()

    world.wait_sealed(3)

    assert_applied(world, [first, last])


def test_what_is_no_event_or_no_acceptance_holds_up_nobody(world: World) -> None:
    """Not even as the log's first record, nor with a file name that the tables can't hold."""
    topic = world.topics.job_events.name
    world.append_value(b"no event", topic)
    world.append_value(None, topic)
    unfit = accepted_job(job_id=5, file_name="a\0b")
    world.append(unfit, topic)
    world.append(replace(unfit, job_id=-1, file_name=None), topic)
    job = world.accept(6, tidy_csv(range(20)))
    publisher = world.services.publisher()
    world.wait_sealed(6)
    assert_applied(world, [job])
    assert publisher.is_running


def test_a_killed_publisher_leaves_nothing_out(world: World) -> None:
    """Whoever comes next makes the pass again; what was there before is skipped as a repeat."""
    jobs = [world.accept(number, tidy_csv(range(20_000))) for number in (1, 2, 3)]
    for records in (1000, 30_000):
        service = world.services.publisher()
        world.wait_records(records)
        service.kill()
    world.services.publisher()

    world.wait_sealed(3)

    assert_applied(world, jobs)


def test_a_frozen_publisher_that_wakes_does_no_harm(world: World) -> None:
    """Another takes over within the session; the first's late records are repeats."""
    jobs = [world.accept(1, tidy_csv(range(40_000)))]
    frozen = world.services.publisher()
    world.wait_records(1000)
    frozen.freeze()
    other = world.services.publisher()
    jobs.append(world.accept(2, tidy_csv(range(40_000, 60_000))))
    world.wait_sealed(2)

    frozen.thaw()
    jobs.append(world.accept(3, tidy_csv([7])))
    world.wait_sealed(3)

    assert_applied(world, jobs)
    assert other.is_running
    assert frozen.is_running


def test_a_stopped_publisher_ends_well_and_repeats_nothing_that_was_whole(world: World) -> None:
    """SIGTERM in the middle of a job ends it with 0; complete passes are not made again."""
    jobs = [world.accept(1, tidy_csv([1])), world.accept(2, tidy_csv(range(100_000)))]
    service = world.services.publisher()
    world.wait_records(1000)

    assert service.terminate() == 0
    world.services.publisher()
    world.wait_sealed(2)

    assert world.seals(1) == [1] * len(world.log())
    assert_applied(world, jobs)


def test_a_job_whose_records_were_lost_is_published_again(world: World) -> None:
    """Read to its end and not complete: it is published again, and all after it."""
    jobs = [world.accept(number, tidy_csv(range(number * 10))) for number in (1, 2, 3)]
    world.complete(jobs[0])
    world.services.publisher(watchdog_s="1")
    world.wait_sealed(3)

    world.commit_all_as_processors()
    world.wait_sealed(3, times=2)
    for job in jobs:
        world.complete(job)

    assert [min(world.seals(job.job_id)) for job in jobs] == [0, 2, 2]


def test_a_job_whose_last_status_is_lost_is_not_published_again(world: World) -> None:
    """Jobs end in their order, so one that ended after it shows to the next publisher that it did.

    The job behind both is overdue, and published again alone.
    """
    jobs = [world.accept(number, tidy_csv(range(number * 10))) for number in (1, 2, 3)]
    first = world.services.publisher()
    world.wait_sealed(3)
    assert first.terminate() == 0
    world.complete(jobs[1])
    world.commit_all_as_processors()
    world.services.publisher(watchdog_s="1")

    world.wait_sealed(3, times=2)

    assert [max(world.seals(job.job_id)) for job in jobs] == [1, 1, 2]


def test_a_file_that_is_lost_holds_up_the_jobs_after_it(world: World) -> None:
    """It is said loudly, and tried again for a while; others may not overtake it meanwhile."""
    world.accept(1, tidy_csv([1]), sha256="0" * 64)
    world.accept(2, tidy_csv([2]))
    service = world.services.publisher()

    wait_logged(service, "job cannot be published")

    assert set(map(max, (world.seals(job_id) for job_id in (1, 2)))) == {0}
    assert service.terminate() == 0


def test_a_job_of_later_code_waits_for_later_code(world: World) -> None:
    """During an upgrade, rules that this code doesn't know are not guessed."""
    world.accept(1, tidy_csv([1]), rules_version=RULES_VERSION + 1)
    service = world.services.publisher()

    wait_logged(service, "finish the upgrade")

    assert max(world.seals(1)) == 0


def test_a_new_group_begins_with_the_first_job_that_is_open(world: World) -> None:
    """What another group has seen completed is not published again."""
    jobs = [world.accept(number, tidy_csv([number])) for number in (1, 2, 3)]
    world.complete(jobs[0])
    world.services.publisher()

    world.wait_sealed(3)

    assert [max(world.seals(job.job_id)) for job in jobs] == [0, 1, 1]


def test_a_job_that_has_ended_holds_up_nobody_without_its_file(world: World) -> None:
    """The publisher that made its pass was killed before it could say so; its file has expired."""
    job = world.accept(1, tidy_csv([1]))
    world.complete(job)
    world.lose_files()
    world.commit_as_publisher(0)
    world.accept(2, tidy_csv([2]))
    world.services.publisher(give_up_s="1")

    world.wait_sealed(2)

    assert max(world.seals(1)) == 0
    assert world.failures() == []


def test_an_unreachable_broker_is_waited_for(env: Ground, tmp_path: Path) -> None:
    """A publisher that starts before Kafka waits, and stops when told to."""
    with Services(env.environ, tmp_path) as services:
        service = services.publisher(kafka_bootstrap_servers="127.0.0.1:1")
        wait_logged(service, "topics are not usable yet")

        assert service.terminate() == 0


def test_wrong_settings_are_named_together(env: Ground, tmp_path: Path) -> None:
    """The process ends at once, with a line for each mistake."""
    with Services(env.environ, tmp_path) as services:
        service = services.publisher(partitions="no", reconciliation_key="country")
        code = service.process.wait(TIMEOUT_S)

        assert code == 2
        assert "ROLLCALL_PARTITIONS" in service.log_text()
        assert "ROLLCALL_RECONCILIATION_KEY" in service.log_text()
