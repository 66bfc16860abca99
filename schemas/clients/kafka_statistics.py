"""Make metrics of librdkafka's own statistics (its STATISTICS.md), of the clients that work always.

Only for a client that is polled all the time: what it reports waits for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.clients.metrics import (
    KAFKA_FAILURES,
    KAFKA_REBALANCES,
    KAFKA_ROUND_TRIP,
    KAFKA_WAITING,
)

if TYPE_CHECKING:
    from prometheus_client import Counter

_EVERY_MS: Final = 5_000


class _Window(msgspec.Struct):
    avg: int = 0


class _Broker(msgspec.Struct):
    nodename: str
    nodeid: int
    source: str
    rtt: _Window
    txerrs: int = 0
    rxerrs: int = 0
    req_timeouts: int = 0
    disconnects: int = 0


class _Partition(msgspec.Struct):
    fetchq_cnt: int = 0


class _Topic(msgspec.Struct):
    partitions: dict[str, _Partition]


class _Group(msgspec.Struct):
    rebalance_cnt: int = 0


class _Statistics(msgspec.Struct):
    msg_cnt: int
    brokers: dict[str, _Broker]
    topics: dict[str, _Topic]
    cgrp: _Group | None = None


# Made here, and once: msgspec prepares a type when it is first asked for it, and where two threads
# ask at once, the process ends with SIGSEGV (msgspec 0.22). Each client reports in its own thread.
_decoder: Final = msgspec.json.Decoder(_Statistics)


class _Reports:
    """The metrics of one client; its totals begin at 0 with it, the counters don't."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._totals: dict[str, int] = {}

    def note(self, text: str) -> None:
        """Set the metrics by one report."""
        found = _decoder.decode(text)
        fetched = (
            partition.fetchq_cnt
            for topic in found.topics.values()
            for partition in topic.partitions.values()
        )
        KAFKA_WAITING.labels(self._client).set(found.msg_cnt + sum(fetched))
        for broker in found.brokers.values():
            if broker.nodeid >= 0 and broker.source != "logical":
                self._note_broker(broker)
        if found.cgrp is not None:
            self._count(KAFKA_REBALANCES.labels(self._client), "", found.cgrp.rebalance_cnt)

    def _note_broker(self, broker: _Broker) -> None:
        labels = (self._client, broker.nodename)
        KAFKA_ROUND_TRIP.labels(*labels).set(broker.rtt.avg / 1e6)
        failures = broker.txerrs + broker.rxerrs + broker.req_timeouts + broker.disconnects
        self._count(KAFKA_FAILURES.labels(*labels), broker.nodename, failures)

    def _count(self, counter: Counter, name: str, total: int) -> None:
        counter.inc(max(0, total - self._totals.get(name, 0)))
        self._totals[name] = total


def statistics(client: str) -> dict[str, Any]:
    """Return the properties by which a client's statistics become metrics under this name."""
    return {"statistics.interval.ms": _EVERY_MS, "stats_cb": _Reports(client).note}
