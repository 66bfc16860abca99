"""Whatever a log holds and however far it has come, the verification agrees with the projection.

The projection lets Postgres decide; the verification's fold is columns of
numbers.  Neither shares with the other how a row is decided.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import codec
from schemas.events import JOB_MODES, AttributeDefined, UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from tests.integration.projection.test_projection_histories import OPTIONS, START, job_of
from tests.support.data.history_steps import DEFINITIONS
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.data.projection_scene import Scene
from tests.support.data.verified_scene import findings_of
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from schemas.events import JobMode
    from tests.support.data.passes import MemoryLog
    from tests.support.servers.surroundings import Ground

_KEYS = st.integers(0, 5)
_cells = st.tuples(
    _KEYS,
    st.sampled_from(["Ada", "Grace", "Joan", "Lin", ""]),
    st.sampled_from(["Lovelace", "O'Brien, jr."]),
    st.sampled_from(["", "", "", "+4930123456", "oops"]),
    st.sampled_from(["France", "Japan", "India", "USA", ""]),
    st.sampled_from(["", "Texas"]),
    st.sampled_from(["", "2024-02-29"]),
    st.sampled_from(["", "true", "false"]),
    st.sampled_from(["", "", "true", "false"]),
)
_modes = st.sampled_from(JOB_MODES)
_jobs = st.lists(
    st.tuples(_modes, st.lists(_cells, min_size=1, max_size=12), OPTIONS),
    min_size=1,
    max_size=4,
)


_FLAWS: list[dict[str, Any]] = [
    {"first_name": ""},
    {"state": " Goa"},
    {"country": "x" * 256},
    {"email": "user7@example.com"},
    {"mobile_number": "030 1"},
    {"job_id": 1000},
    {"job_id": 1002, "sequence": 0, "line": 2, "record_number": 1},
]


@st.composite
def _producer_rows(draw: st.DrawFn) -> UserRow:
    """An event of another producer, or a write of the API, that may or may not count."""
    texts: dict[str, Any] = {
        name: draw(st.sampled_from([None, "b", "a", "Ünï 'quoted', \"twice\"\nnext line"]))
        for name in ("first_name", "last_name", "country", "state")
    }
    key = f"user{draw(_KEYS)}@example.com"
    texts["email"] = draw(st.sampled_from([key, key.upper(), None]))
    texts |= draw(st.one_of(st.just(dict[str, Any]()), st.sampled_from(_FLAWS)))
    attributes = st.dictionaries(
        st.sampled_from(["tier", "score", "vip"]),
        st.sampled_from([None, "true", "0.5", "-3", 'a "b" \\']),
        max_size=2,
    )
    return UserRow(
        event_id=draw(st.sampled_from(["e1", "e2", "e3", "no plain id", None])),
        mode=draw(st.sampled_from(["insert", "upsert", "upsert", "delete"])),
        key=key,
        sms_subscription=draw(st.sampled_from([None, True, False])),
        last_active_date=draw(st.sampled_from([None, START.date()])),
        attributes=draw(st.one_of(st.just(dict[str, "str | None"]()), attributes)),
        present=draw(st.one_of(st.just(1023), st.integers(0, 1023))),
        occurred_at=START + timedelta(seconds=draw(st.integers(0, 9))),
        source=draw(st.sampled_from([API_SOURCE, "crm", None])),
        user_id=draw(st.sampled_from([None, None, 1, 2, (1 << 48) + 3])),
        **texts,
    )


def _fill(log: MemoryLog, jobs: list[Any], data: st.DataObject) -> None:
    """Append passes, whole and in pieces, with other producers' events between their records."""
    previous = 0
    for job in jobs:
        whole = make_pass(job, previous, PARTITIONS)
        previous = job.job_id
        for partition, records in enumerate(whole):
            begun = data.draw(st.integers(0, len(records)))
            for piece in (records[:begun], records):
                log.append(partition, piece[: len(piece) // 2])
                _append_producer_rows(log, data)
                log.append(partition, piece[len(piece) // 2 :])
    _append_producer_rows(log, data)


def _append_producer_rows(log: MemoryLog, data: st.DataObject) -> None:
    for event in data.draw(st.lists(st.one_of(_producer_rows(), DEFINITIONS), max_size=3)):
        if isinstance(event, AttributeDefined):
            record = MemoryRecord(event.name.encode(), codec.encode(event))
            for partition in range(PARTITIONS):
                log.append(partition, [record])
        else:
            key = event.key.encode()
            log.append(partition_of(key, PARTITIONS), [MemoryRecord(key, codec.encode(event))])


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(jobs=_jobs, data=st.data())
def test_tables_that_the_projection_made_are_proven_at_every_point(
    env: Ground, jobs: list[tuple[JobMode, list[Any], dict[str, Any]]], data: st.DataObject
) -> None:
    """After each of its transactions, whatever batches it and the verification read."""
    history = [
        job_of(number, mode, lines, **options) for number, (mode, lines, options) in enumerate(jobs)
    ]
    reverted = data.draw(st.sets(st.sampled_from([job.job_id for job in history]), max_size=2))
    scene = Scene(env, reverted=frozenset(reverted))
    _fill(scene.log, history, data)
    sizes = st.integers(1, 25)
    try:
        worker = scene.worker()
        while not worker.is_at_end(scene.log):
            worker.expects_new = data.draw(st.booleans())
            worker.project(scene.log, [data.draw(sizes) for _ in range(PARTITIONS)])
            assert findings_of(scene, batch_size=data.draw(sizes)) == []
    finally:
        scene.close()
