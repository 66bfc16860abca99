"""Has outages of Kafka and Postgres told once, by asking the server itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg
from confluent_kafka import KafkaException

from schemas.clients.kafka import make_admin
from schemas.runtime.outage import KAFKA, POSTGRES

if TYPE_CHECKING:
    from schemas.config.settings import Settings

_ANSWER_S: Final = 3


def tell_outages(settings: Settings) -> None:
    """Have it logged once that one of them has gone, and once that it is back."""
    KAFKA.watch(partial(kafka_answers, settings))
    POSTGRES.watch(partial(postgres_answers, settings))


def kafka_answers(settings: Settings) -> bool:
    """Ask Kafka for its brokers, for seconds at most."""
    quiet = {"log_level": 0, "error_cb": _ignore}
    try:
        return bool(make_admin(settings.kafka, quiet).list_topics(timeout=_ANSWER_S).brokers)
    except KafkaException:
        return False


def postgres_answers(settings: Settings) -> bool:
    """Connect to Postgres, for seconds at most."""
    try:
        psycopg.connect(settings.database_url, connect_timeout=_ANSWER_S).close()
    except psycopg.OperationalError:
        return False
    return True


def _ignore(_error: object) -> None:
    return
