"""`GET …/admin/throughput`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.openapi.described import described
from ingest_api.throughput.operations import DEFAULT_MINUTES, THROUGHPUT, Minute, Throughput
from ingest_api.throughput.samples import KEPT_MINUTES
from ingest_api.web.dates import date_text
from ingest_api.web.parameters import query_number

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.throughput.samples import ThroughputSamples


def add_throughput_route(api: Blueprint, samples: ThroughputSamples) -> None:
    """Add the route."""

    @api.get("/admin/throughput")
    @described(THROUGHPUT)
    async def throughput(request: Request[Any, Any]) -> Throughput:
        minutes = query_number(request, "minutes", DEFAULT_MINUTES, least=1, most=KEPT_MINUTES)
        rows = await samples.select(minutes)
        return Throughput(
            minutes=[
                Minute(
                    minute_date=date_text(row["minute"]),
                    appended=row["appended"],
                    applied=row["applied"],
                    waiting=row["waiting"],
                )
                for row in rows
            ],
            waiting=await samples.waiting(),
        )

    _ = throughput
