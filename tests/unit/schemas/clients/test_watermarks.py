"""Where a partition begins and ends, of a client whose answers are partly lost."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from schemas.clients.watermarks import watermarks


class Answering:
    """A consumer that is told these answers; which real one is lost nobody can tell it to."""

    def __init__(self, *answers: tuple[int, int]) -> None:
        self.answers = list(answers)

    def get_watermark_offsets(self, _place: TopicPartition, _timeout_s: float) -> tuple[int, int]:
        """Give the next one."""
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([(0, 12224)], (0, 12224)),
        ([(12224, 12224), (0, 12224)], (0, 12224)),  # the end, twice
        ([(0, 0), (0, 12224)], (0, 12224)),  # the beginning, twice
        ([(7, 7), (7, 7), (3, 7)], (3, 7)),
        ([(7, 7), (7, 7), (7, 7)], (7, 7)),
        ([(0, 0), (0, 0), (0, 0)], (0, 0)),
    ],
)
def test_a_partition_that_looks_empty_is_asked_for_again(
    answers: list[tuple[int, int]], found: tuple[int, int]
) -> None:
    """A processor that took it for emptied refused to start; one that is empty stays so."""
    consumer: Any = Answering(*answers)
    assert watermarks(consumer, TopicPartition("t", 0), 1.0) == found
    assert consumer.answers == []
