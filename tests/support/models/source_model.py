"""The sequential oracle of sources: what other producers' events come to, one by one.

It shares no code with the projection: users are dicts, and sources are counted
as the documentation says it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

COUNTS = ("inserted", "updated", "unchanged", "deleted", "rejected", "dead", "repeats")


@dataclass(frozen=True, slots=True)
class Sent:
    """One record of another producer; ``fault`` where it is poison of that kind."""

    key: str
    mode: str
    name: str
    event_id: str
    source: str | None
    time_ms: int
    fault: str | None = None


@dataclass(slots=True)
class Partition:
    """One partition, followed from its beginning; ``most`` sources are counted by name."""

    most: int
    api: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, "dict[str, int]"])
    times: dict[str, list[int]] = field(default_factory=dict[str, "list[int]"])
    users: dict[str, tuple[str, str]] = field(default_factory=dict[str, "tuple[str, str]"])
    answered: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def apply(self, sent: Sent) -> None:
        """Count the next record of the partition."""
        outcome = self._outcome(sent)
        name = (sent.source or "")[:100] if sent.fault != "undecodable" else ""
        if name not in self.counts and len(self.counts.keys() - {"(other)"}) >= self.most:
            name = "(other)"
        self.counts.setdefault(name, dict.fromkeys(COUNTS, 0))[outcome] += 1
        self.times.setdefault(name, []).append(sent.time_ms)

    def _outcome(self, sent: Sent) -> str:
        if sent.fault == "undecodable":
            return "dead"
        if sent.fault in {"nameless", "job"}:
            return "dead"  # nobody can be told
        is_api = sent.source == self.api
        event = (sent.key, sent.event_id)
        if is_api and event in self.answered:
            return "repeats"
        if is_api:
            self.answered.add(event)
        # What a delete says beside its key is not looked at.
        is_unfit = sent.fault == "mismatch" or (sent.fault == "value" and sent.mode != "delete")
        outcome = "refused" if is_unfit else self._applied(sent)
        if outcome == "refused":
            return "rejected" if is_api else "dead"
        return outcome

    def _applied(self, sent: Sent) -> str:
        known = self.users.get(sent.key)
        if sent.mode == "delete":
            self.users.pop(sent.key, None)
            return "deleted" if known else "unchanged"
        if known is None:
            self.users[sent.key] = (sent.event_id, sent.name)
            return "inserted"
        maker, name = known
        if sent.mode == "insert":
            return "repeats" if maker == sent.event_id else "refused"
        self.users[sent.key] = (maker, sent.name)
        return "unchanged" if name == sent.name else "updated"


def totals(partitions: list[Partition]) -> dict[str | None, tuple[object, ...]]:
    """By source, None where none is named: its counts, and its first and last time."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    times: defaultdict[str, list[int]] = defaultdict(list)
    for partition in partitions:
        for source, found in partition.counts.items():
            counts[source] = [
                total + found[name] for total, name in zip(counts[source], COUNTS, strict=True)
            ]
            times[source] += partition.times[source]
    return {
        source or None: (*found, _at(min(times[source])), _at(max(times[source])))
        for source, found in counts.items()
    }


def _at(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
