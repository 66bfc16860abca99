"""The errors that clients raise, and the words for them.

::

    ClientError
     +-- KafkaUnreachableError   Kafka does not answer now: the same may be asked again
     +-- LaterVersionError       a record is of a later version: it can be read after the upgrade
     +-- RecordsGoneError        the log no longer holds what is asked for
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from schemas.runtime.outage import KAFKA

if TYPE_CHECKING:
    from collections.abc import Generator


class ClientError(Exception):
    """Anything that this package raises on purpose."""


class KafkaUnreachableError(ClientError):
    """Kafka does not answer now: the same may be asked again."""

    def __init__(self, about: str, reason: object) -> None:
        super().__init__(f"Kafka can't be asked for {about}: {reason}")


class LaterVersionError(ClientError):
    """A record is of a later version of Rollcall, which can read it."""

    def __init__(self, topic: str, offset: int) -> None:
        super().__init__(
            f"record {offset} of {topic} is of a later version of Rollcall: finish the upgrade"
        )


class RecordsGoneError(ClientError, RuntimeError):
    """The log no longer holds what is asked for; trying again does not help."""


@contextlib.contextmanager
def kafka_asked(about: str) -> Generator[None]:
    """Have what a client raises said in our words.

    Raises:
        KafkaUnreachableError: Kafka does not answer, or not as it should.
    """
    try:
        yield
    except KafkaException as error:
        KAFKA.suspect()
        raise KafkaUnreachableError(about, error.args[0]) from error
