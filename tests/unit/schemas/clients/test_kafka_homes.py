"""Clients of Kafka are made in one module, so that what holds for all of them stands once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(schemas.__file__).parents[1]
_PACKAGES: Final = ("schemas", "ingest_api", "processor", "deploy")
_HOME: Final = "schemas/clients/kafka.py"
_CACHED: Final = "processor/worker/group_consumer.py"
"""Asks for what its own consumer was told last, and nobody else."""
_SAMPLE: Final = "deploy/samples/producers/send_users.py"
"""Shows another team how to produce, with nothing of ours."""
_CLIENTS: Final = {
    "Consumer",
    "Producer",
    "AdminClient",
    "AIOConsumer",
    "AIOProducer",
    "DeserializingConsumer",
    "SerializingProducer",
}

pytestmark = pytest.mark.unit


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@cache
def _called() -> dict[str, set[str]]:
    """What each module calls, by its path."""
    return {
        path.relative_to(_ROOT).as_posix(): {
            _name_of(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        for package in _PACKAGES
        for path in (_ROOT / package).rglob("*.py")
    }


def _modules_that_call(names: set[str]) -> Iterator[str]:
    return (path for path, called in _called().items() if called & names)


def test_clients_of_kafka_are_made_in_one_module() -> None:
    """Whoever needs one asks for it there, and so gets what every client must have."""
    assert set(_modules_that_call(_CLIENTS)) == {_HOME, _SAMPLE}


def test_topics_of_events_are_followed_by_one_reader() -> None:
    """Every reading of `job-events` is a fold on top of it, so none skips what others take."""
    readers = {
        "schemas/clients/job_events.py",
        "ingest_api/event_log/job_events.py",
        "ingest_api/notices/job_ends.py",
        "ingest_api/publisher/main.py",
        "processor/builder/reverts_follower.py",
    }
    assert set(_modules_that_call({"TopicFollower"})) == readers
    assert set(_modules_that_call({"make_reader"})) == {
        "schemas/clients/ranges.py",
        "schemas/clients/topic_follower.py",
        "schemas/clients/unreadable.py",
        "ingest_api/kafka/upload_chunks.py",
        "processor/kafka/partition_reader.py",
    }


def test_where_a_partition_begins_and_ends_is_asked_for_in_one_module() -> None:
    """Which doubts an answer that it is empty."""
    asking = set(_modules_that_call({"get_watermark_offsets"}))
    assert asking == {"schemas/clients/watermarks.py", _CACHED}
