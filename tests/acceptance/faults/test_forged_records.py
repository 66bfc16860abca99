"""In a signed log, who may write to the topics and has no key can send users, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from processor.errors import VerificationError
from processor.verification.verify import verify_active
from schemas.clients.kafka import make_producer
from schemas.codec.codec import encode
from schemas.events import AttributeDefined, JobOpened, JobSealed, LogConfigured, LogMove, RowErased
from schemas.log.digests import digest_headers
from schemas.log.topics import partition_of
from tests.acceptance.operations.test_erase import erase
from tests.support.clients.other_producers import row_of
from tests.support.clients.projections import assert_proven
from tests.support.clients.single_users import define
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import accepted_jobs, read_topic
from tests.support.data.raw_batches import append_unreadable
from tests.support.models.verdict import select
from tests.support.servers.moving import moved, rekey, seen
from tests.support.servers.rig import installation
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import Event
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground, Surroundings

KEYS: Final = "one:" + "1" * 32
_NOW: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
_WRONG: Final[dict[str, str | bytes | None]] = {"rollcall-digest": b"one:" + b"0" * 64}
_FORGED_JOB: Final = 1 << 40


@pytest.fixture(scope="module")
def rig(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """An installation with a key, and with a builder."""
    logs = tmp_path_factory.mktemp("logs")
    with installation(surroundings_of_session, logs, log_keys=KEYS, watchdog_s="1") as started:
        started.services.builder()
        yield started


def test_what_is_forged_has_no_effect_and_is_a_dead_letter(rig: Rig) -> None:
    """An empty delsert in the right place, its end, an attribute, an erased line, a moved log.

    Also a batch that can't be decompressed, which stands for its records as one.
    Uploads go on, nobody is gone, the attribute is free, and a rebuild comes to the same.
    """
    last = int(rig.run(tidy_csv(range(60)))["id"])
    forged = [
        _delsert(last),
        JobSealed(job_id=_FORGED_JOB, rows=0, digest=0),
        AttributeDefined(
            name="tier", type="number", is_reconciliation_key=False, is_indexed=False,
            defined_at=_NOW, defined_by="nobody",
        ),
        RowErased(
            job_id=None, record_number=None, line=None, sequence=None, outcome="none",
            key_hash=b"0" * 32, opt_outs=7,
        ),
        LogConfigured(reconciliation_key="mobileNumber", configured_at=_NOW),
        LogMove(stage="HELD", version=2, partitions=3, command="forged", recorded_at=_NOW),
    ]  # fmt: skip
    _append_to_each(rig.env, *forged)
    topics = rig.env.settings.topics
    for partition in range(topics.user_events.partitions):
        append_unreadable(rig.env.settings, topics.user_events.name, partition)
    rig.run(tidy_csv(range(50, 90), word="b"), "upsert")
    assert select(rig.env, "SELECT count(*) AS n FROM users") == [{"n": 90}]
    assert define(rig.client, "tier").status_code == 200
    rig.run(b"Email,Tier\nuser1@example.com,gold\n", "upsert")
    (attribute,) = select(rig.env, "SELECT name, type FROM attributes")
    assert attribute == {"name": "tier", "type": "string"}
    expected = (2 * len(forged) + 1) * topics.user_events.partitions

    def reasons() -> list[object]:
        letters = [each for part in read_topic(rig.env.settings, topics.dead_letters)
                   for each in part]  # fmt: skip
        return [dict(letter.headers() or [])["reason"] for letter in letters]

    wait_until(lambda: len(reasons()) == expected, 30, saying="all forged records are dead letters")
    assert set(reasons()) == {b"NO_RIGHT_DIGEST", b"UNEXPECTED_TYPE", b"UNREADABLE_BATCH"}
    counted = "SELECT source, dead, first_at > '2000-01-01' AS is_of_now FROM sources"
    assert select(rig.env, counted) == [
        {"source": None, "dead": expected - topics.user_events.partitions, "is_of_now": True}
    ]
    assert_proven(rig.env)
    with pytest.raises(VerificationError, match="ROLLCALL_LOG_KEYS"):
        verify_active(msgspec.structs.replace(rig.env.settings, log_keys=""))


def test_a_moved_log_is_signed_anew(rig: Rig) -> None:
    """Erased from, and moved to other partitions: what was forged stays dead, and jobs go on."""
    last = int(rig.run(tidy_csv(range(100, 130)))["id"])
    _append_to_each(rig.env, _delsert(last))
    before = seen(rig.env)
    done = erase(rig, "user110@example.com")
    assert done.returncode == 0, done.stdout
    kept = [[row for row in rows if row.get("key") != "user110@example.com"] for rows in before]
    assert seen(rig.env)[0] == kept[0]
    rig.env = moved(rig.env, rig.env.settings.partitions)
    done = rekey(rig, "--partitions", "4")
    assert done.returncode == 0, done.stdout
    assert seen(rig.env)[0] == kept[0]
    rig.env = moved(rig.env, 4, version=3)
    rig.wait_ready()
    last = int(rig.run(tidy_csv(range(120, 140), word="c"), "upsert")["id"])
    _append_to_each(rig.env, _delsert(last))
    rig.run(tidy_csv(range(130, 150)))
    assert select(rig.env, "SELECT count(*) AS n FROM users")[0]["n"] == len(kept[0]) + 20
    assert verify_active(rig.env.settings).is_proven


def test_a_job_with_forged_rows_is_taken_out_of_the_way_by_its_cancellation(rig: Rig) -> None:
    """A row in its name breaks the digest in its seal; cancelled it ends, and the row is gone."""
    last = int(rig.run(tidy_csv(range(160, 170)))["id"])
    users = select(rig.env, "SELECT key FROM users ORDER BY key")
    rig.publisher.freeze()
    job_id = rig.submit(tidy_csv(range(170, 180)))
    later = rig.submit(tidy_csv(range(180, 190)))
    _open_and_forge(rig.env, job_id, last)
    rig.publisher.thaw()
    forged = "SELECT 1 FROM users WHERE key = 'eve@x.example'"
    wait_until(lambda: select(rig.env, forged), 60, saying="the forged row is there")
    assert rig.client.change("cancel", job_id).status_code == 200
    rig.wait_ended(later)
    rig.client.wait_state(job_id, "CANCELLED")
    found = select(rig.env, "SELECT key FROM users WHERE key !~ '^user18[0-9]@' ORDER BY key")
    assert found == users
    assert_proven(rig.env)


def _delsert(after: int) -> JobOpened:
    """The beginning of a job that would come next."""
    return JobOpened(
        job_id=_FORGED_JOB, previous_job_id=after, mode="delsert", lines=0, file_name=None,
        sha256="0" * 64, accepted_at=_NOW, accepted_by="nobody",
    )  # fmt: skip


def _open_and_forge(env: Ground, job_id: int, after: int) -> None:
    """Append the beginning of the job, as its publisher would, and a row in its name behind it."""
    (job,) = (each for each in accepted_jobs(env.settings) if each.job_id == job_id)
    opened = encode(JobOpened(
        job_id=job_id, previous_job_id=after, mode=job.mode, lines=job.lines,
        file_name=job.file_name, sha256=job.sha256, accepted_at=job.accepted_at,
        accepted_by=job.accepted_by, fills=job.fills, keeps_opt_outs=job.opt_ins == "keep",
    ))  # fmt: skip
    row = replace(
        row_of("eve@x.example"), event_id=None, source=None, job_id=job_id, sequence=0,
        record_number=1, line=2, mode="insert",
    )  # fmt: skip
    topic, producer = env.settings.topics.user_events, make_producer(env.settings.kafka)
    for partition in range(topic.partitions):
        headers: Any = digest_headers(env.settings.keyring, topic.name, b"1", opened)
        producer.produce(topic.name, opened, b"1", partition, headers=headers)
    key = row.key.encode()
    producer.produce(topic.name, encode(row), key, partition_of(key, topic.partitions))
    assert producer.flush(60) == 0


def _append_to_each(env: Ground, *events: Event) -> None:
    """Append the events to every partition, without a digest and with a wrong one."""
    producer = make_producer(env.settings.kafka)
    topic = env.settings.topics.user_events
    for partition in range(topic.partitions):
        for event in events:
            for headers in ({}, _WRONG):
                producer.produce(topic.name, encode(event), b"1", partition, headers=headers)
    assert producer.flush(60) == 0
