"""Each partition has its turn, however much comes in the others."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING

from schemas.clients.kafka import make_producer
from schemas.codec import codec
from schemas.log.topics import partition_of
from tests.support.clients.other_producers import row_of
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

_EACH = 25_000
_TIMEOUT_S = 120
_KEY = "user%06d@example.com"
_FIRST = codec.encode(row_of(_KEY % 0))
_APPLIED_LATER = """
SELECT count(*) AS users FROM projection_1.user_row
WHERE xmin::text::bigint > (
    SELECT xmin::text::bigint FROM projection_1.user_row WHERE key = '{key}'
)
"""


def test_a_user_does_not_wait_for_all_of_other_partitions(rig: Rig) -> None:
    """Rows of two partitions come in masses; one of a third is sent while they are applied."""
    rig.processors[0].terminate()
    topic = rig.env.settings.topics.user_events
    keys = _keys_by_partition(topic.partitions)
    producer = make_producer(rig.env.settings.kafka, {"queue.buffering.max.messages": 3 * _EACH})

    def send(key: str) -> None:
        value = _FIRST.replace((_KEY % 0).encode(), key.encode())  # as long as that
        partition = partition_of(key.encode(), topic.partitions)
        producer.produce(topic.name, value, key.encode(), partition)

    for key in keys[0] + keys[1]:
        send(key)
    producer.flush(_TIMEOUT_S)
    rig.restart_processor()
    wait_until(lambda: _users(rig), _TIMEOUT_S, saying="some are applied", every_s=0.05)
    send(keys[2][0])
    producer.flush(_TIMEOUT_S)
    wait_until(
        lambda: _users(rig) == 2 * _EACH + 1, _TIMEOUT_S, saying="all are applied", every_s=0.5
    )
    (later,) = select(rig.env, _APPLIED_LATER.format(key=keys[2][0]))
    assert later["users"] > _EACH / 4


def _keys_by_partition(partitions: int) -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for number in count():
        key = _KEY % number
        found[partition_of(key.encode(), partitions)].append(key)
        if min(map(len, found.values())) >= _EACH:
            return {partition: keys[:_EACH] for partition, keys in found.items()}
    raise AssertionError("it counts for ever")


def _users(rig: Rig) -> int:
    (row,) = select(rig.env, "SELECT count(*) AS users FROM users")
    return row["users"]
