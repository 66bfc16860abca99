"""The OpenAPI operation of the throughput, and its answer."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import Operation, answer, query_parameter
from ingest_api.openapi.response_types import Count, Date
from ingest_api.throughput.samples import KEPT_MINUTES

DEFAULT_MINUTES: Final = 180


class Minute(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened in a minute; the mean of all since the minute before that is known."""

    minute_date: Date
    appended: Annotated[
        Count | None, Meta(description="Records appended to the log; null where none is known.")
    ]
    applied: Annotated[
        Count | None, Meta(description="Records applied to the tables; null where none is known.")
    ]
    waiting: Annotated[int, Meta(ge=0, description="Records in the log that were not applied.")]


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """The last minutes, the oldest first, and the lag as it is now."""

    minutes: list[Minute]
    waiting: Annotated[
        list[int],
        Meta(description="Records that are not applied, by partition; none where Kafka is silent."),
    ]


THROUGHPUT: Final = Operation(
    summary="How much is appended and applied a minute, and how much waits",
    description=(
        "Counted in records of `user-events`, other producers' too. A sample a minute is kept for a"
        " day, whichever instance of the API took it; a minute without one is left out."
    ),
    tag="Service",
    role="reader",
    parameters=(
        query_parameter(
            "minutes",
            "How far back.",
            schema={
                "type": "integer",
                "minimum": 1,
                "maximum": KEPT_MINUTES,
                "default": DEFAULT_MINUTES,
            },
            example=DEFAULT_MINUTES,
        ),
    ),
    answers={200: answer("The minutes of which there is a sample.", Throughput)},
)
