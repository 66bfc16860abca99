"""The ledger of jobs: which attempts count, read from `job-events` (pure).

The log decides, in its order and nothing else:

- the first ``JobAccepted`` of a job id counts, unless a ``JobVoided`` of the
  same attempt stands before it;
- a later one with that job id counts for nothing: it is ``same`` where the file
  and all that its reading depends on are the same, else ``conflict``;
- a ``JobVoided`` after its ``JobAccepted`` changes nothing;
- while the log is held for a move, an attempt is as if it had been voided
  (:mod:`schemas.log.moves`), and so is one that the tables can't hold
  (:mod:`schemas.log.storable`), which no API has sent.

Which jobs are reverted is a reading of its own, that both sides share
(:mod:`schemas.log.reverts`).

So all who have read up to an offset know the same about what lies before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

from schemas.events import NO_JOB, AttributeChanged, JobAccepted, JobVoided, PresetDefined
from schemas.log.moves import LogMoves
from schemas.log.reverts import Reverts
from schemas.log.storable import violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.events import Event

Decision = Literal["accepted", "same", "conflict", "voided"]


@dataclass(frozen=True, slots=True)
class LedgerJob:
    """An attempt that counts, with its place in the order of jobs.

    ``offset`` is that of its ``JobAccepted`` in `job-events`, ``traceparent`` what its header has.
    """

    accepted: JobAccepted
    offset: int
    previous_job_id: int
    traceparent: str | None = None


class JobLedger:
    """The decisions of `job-events`, read from its beginning up to ``next_offset``."""

    def __init__(self) -> None:
        self.next_offset = 0
        self.reverts = Reverts()
        self._jobs: list[LedgerJob] = []
        self._by_id: dict[int, LedgerJob] = {}
        self._decisions: dict[tuple[int, str], Decision] = {}
        self.moves = LogMoves()
        self.presets: dict[str, PresetDefined] = {}
        """Those that there are, by name."""
        self.attribute_changes: dict[str, AttributeChanged] = {}
        """The last of each attribute, by its name."""

    @property
    def jobs(self) -> Sequence[LedgerJob]:
        """The jobs that count, in their order; grows, and never changes otherwise."""
        return self._jobs

    def job(self, job_id: int) -> LedgerJob | None:
        """Return the attempt that counts for this job id, or None while there is none."""
        return self._by_id.get(job_id)

    def offset_of(self, job_id: int) -> int | None:
        """Return the job's place in the order of jobs, or None where it is unknown."""
        job = self.job(job_id)
        return None if job is None else job.offset

    def keys_with(self, key: str) -> set[bytes]:
        """Return a user's key with the keys of the brackets of jobs: each job's id."""
        return {key.encode(), *(str(job_id).encode() for job_id in self._by_id)}

    def decision(self, job_id: int, attempt: str) -> Decision | None:
        """Return the final decision about this attempt; None before the log has one."""
        return self._decisions.get((job_id, attempt))

    def apply(self, offset: int, event: Event, traceparent: str | None = None) -> None:
        """Apply the event at this offset; offsets rise, and one already applied is skipped.

        Events that are neither ``JobAccepted`` nor ``JobVoided`` decide nothing.
        """
        if offset < self.next_offset:
            return
        self.next_offset = offset + 1
        counts = self.moves.apply(event) and violation(event) is None
        self.reverts.apply(offset, event)
        if counts:
            self._note_settings(event)
        if not isinstance(event, (JobAccepted, JobVoided)):
            return
        attempt = (event.job_id, event.attempt)
        # One attempt may stand in the log twice, and voided after it was accepted:
        # what was decided first may have been answered already, so it stands.
        if attempt in self._decisions:
            return
        if isinstance(event, JobVoided) or not counts:
            self._decisions[attempt] = "voided"
        else:
            self._decisions[attempt] = self._accept(offset, event, traceparent)

    def _note_settings(self, event: Event) -> None:
        match event:
            case AttributeChanged():
                self.attribute_changes[event.name] = event
            case PresetDefined(options=None):
                self.presets.pop(event.name, None)
            case PresetDefined():
                self.presets[event.name] = event
            case _:
                pass

    def _accept(self, offset: int, event: JobAccepted, traceparent: str | None) -> Decision:
        first = self._by_id.get(event.job_id)
        if first is not None:
            return "same" if is_same_content(first.accepted, event) else "conflict"
        previous = self._jobs[-1].accepted.job_id if self._jobs else NO_JOB
        job = LedgerJob(event, offset, previous, traceparent)
        self._jobs.append(job)
        self._by_id[event.job_id] = job
        return "accepted"


_CONTENT: Final = attrgetter(
    "sha256",
    "mode",
    "delimiter",
    "blank_cells",
    "columns",
    "unknown_columns",
    "phone_region",
    "date_order",
    "fills",
    "opt_ins",
    "invalid_optional",
)


def is_same_content(one: JobAccepted, other: JobAccepted) -> bool:
    """Return whether both have the same file, and the same options of which its result depends."""
    return _CONTENT(one) == _CONTENT(other)
