"""Each partition has its turn, however much comes in the others."""

from __future__ import annotations

from itertools import chain, count, islice
from typing import TYPE_CHECKING

from schemas.clients.kafka import make_producer
from schemas.codec import codec
from schemas.log.topics import partition_of
from tests.support.clients.other_producers import row_of
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    first, second, third = (_keys(number, topic.partitions) for number in range(3))
    producer = make_producer(rig.env.settings.kafka, {"queue.buffering.max.messages": 3 * _EACH})

    def send(key: str) -> None:
        value = _FIRST.replace((_KEY % 0).encode(), key.encode())  # as long as that
        partition = partition_of(key.encode(), topic.partitions)
        producer.produce(topic.name, value, key.encode(), partition)

    for key in chain(islice(first, _EACH), islice(second, _EACH)):
        send(key)
    producer.flush(_TIMEOUT_S)
    rig.restart_processor()
    wait_until(lambda: _users(rig), _TIMEOUT_S, saying="some are applied", every_s=0.05)
    alone = next(third)
    send(alone)
    producer.flush(_TIMEOUT_S)
    wait_until(
        lambda: _users(rig) == 2 * _EACH + 1, _TIMEOUT_S, saying="all are applied", every_s=0.5
    )
    (later,) = select(rig.env, _APPLIED_LATER.format(key=alone))
    assert later["users"] > _EACH / 4


def _keys(partition: int, partitions: int) -> Iterator[str]:
    keys = (_KEY % number for number in count())
    return (key for key in keys if partition_of(key.encode(), partitions) == partition)


def _users(rig: Rig) -> int:
    (row,) = select(rig.env, "SELECT count(*) AS users FROM users")
    return row["users"]
