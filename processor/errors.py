"""The errors that this package raises on purpose.

::

    ProcessorError
     +-- SupersededError       another worker holds the partition: give it up
     +-- RecordRefusedError    a record that the tables don't take: a dead letter
     +-- NarrowedError         a batch was applied but for such records: claim again
     +-- SwitchedError         another projection instance is the active one: go on with that
     +-- NotReadyError         Kafka can't be reached or a topic is missing: try again
     +-- OtherProcessDiedError the process that helped is gone
     +-- PassedStopError       a replay is further than it was to go
     +-- BuildFailedError      an instance can't be built, or must not take the live one's place
     +-- StoppedError          the process was told to stop
     +-- VerificationError     nothing can be verified here
     +-- RefusedToStartError   log and projection do not fit: needs a person
          +-- LogTruncatedError   the log's first records are gone
"""

from __future__ import annotations

from typing import Any


class ProcessorError(Exception):
    """Anything this package raises on purpose."""


class SupersededError(ProcessorError):
    """Another worker has claimed a partition of this batch; nothing was written."""


class RecordRefusedError(ProcessorError):
    """The tables, as the log has made them, take no such record; nothing was written."""

    def __init__(self, offset: int, code: str, reason: str) -> None:
        super().__init__(f"offset {offset}: {code}: {reason}")
        self.offset = offset
        self.code = code
        self.reason = reason


class NarrowedError(ProcessorError):
    """Records were applied otherwise than they were handed over: only a claim tells how far."""


class SwitchedError(ProcessorError):
    """Readers see another projection instance now; this one is written no more."""


class NotReadyError(ProcessorError):
    """Kafka cannot be reached or a topic is missing: wait and try again."""


class OtherProcessDiedError(ProcessorError):
    """The other process has ended without a result."""


class PassedStopError(ProcessorError):
    """The tables are already further than they were to go."""


class BuildFailedError(ProcessorError):
    """The instance cannot be built, or must not take the live one's place; says why."""

    def __init__(self, failure: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(failure)
        self.result = result


class StoppedError(ProcessorError):
    """The process has been told to stop; the build is gone on with by the next one."""


class VerificationError(ProcessorError):
    """The tables can't be verified here: says why and what to do; nothing was changed."""


class RefusedToStartError(ProcessorError):
    """The log and the projection do not fit together; says why and what to do."""


class LogTruncatedError(RefusedToStartError):
    """The log does not begin at its first record, so nothing can be made from it."""
