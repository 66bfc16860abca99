"""Where a partition begins and ends, as Kafka says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

_MOST_QUESTIONS: Final = 3


def watermarks(consumer: Consumer, place: TopicPartition, timeout_s: float) -> tuple[int, int]:
    """Return the first offset of a partition, and the one after its last record.

    librdkafka asks for them in two requests, and keeps two answers in any order
    (`rd_kafka_query_watermark_offsets`): where a broker that comes or goes lets one of them fail,
    the other may stand for both, as if the partition were empty.
    So what looks empty is asked for again.

    Raises:
        KafkaException: Kafka does not answer, or there is no such partition.
    """
    low, high = consumer.get_watermark_offsets(place, timeout_s)
    for _ in range(_MOST_QUESTIONS - 1):
        if low < high:
            break
        low, high = consumer.get_watermark_offsets(place, timeout_s)
    return low, high
