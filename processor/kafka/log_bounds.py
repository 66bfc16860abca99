"""Checks that the log still holds what comes next; tells its loss from errors that pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.errors import RefusedToStartError
from schemas.clients.ranges import bounds_of, is_gone

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

_WATERMARK_TIMEOUT_S: Final = 5.0


def check_log_holds(consumer: Consumer, topic: str, partition: int, needed: range) -> None:
    """Return where the log has the offsets that are needed; blocks for Kafka's answer.

    Raises:
        KafkaUnreachableError: Kafka does not answer.
        RefusedToStartError: records were lost or removed.
    """
    low, high = bounds_of(consumer, topic, partition, ask_s=_WATERMARK_TIMEOUT_S)
    if low <= needed.start and needed.stop <= high:
        return
    code, way_out = (
        ("LOG_TRUNCATED", "or build the projection anew in an empty database")
        if needed.stop > high
        else ("RECORDS_REMOVED", "or keep the tables as the only record of what is gone")
    )
    until = f" up to {needed.stop}" if needed else ""
    raise RefusedToStartError(
        f"{code}: topic {topic}, partition {partition} holds offsets {low} to "
        f"{high}, and the projection goes on from {needed.start}{until}. Records were lost; "
        f"restore the topic from a copy, {way_out}."
    )


def raise_if_gone(error: KafkaError, message: Message) -> None:
    """Tell an error that time heals from the loss of what comes next.

    Raises:
        RefusedToStartError: records that come next are not in the log any more.
    """
    if is_gone(error):
        raise RefusedToStartError(
            f"LOG_TRUNCATED: topic {message.topic()}, partition {message.partition()}: "
            f"{error.str()}. Records that come next are not in the log any more; restore "
            "the topic, or build the projection anew in an empty database."
        )
