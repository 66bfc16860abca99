"""Projects ``user-events`` into Postgres, exactly once in effect.

A record's way: the consumer's thread polls, decodes (:mod:`processor.decoding.batches`)
and decides which rows count (:mod:`processor.decoding.accept_rule`); the projector's
thread writes them in one transaction (:mod:`processor.projection.transaction`), the first
statement of which moves ``next_offset`` under the worker's epoch.
A worker that has been superseded changes no row by that statement and so loses
its batch; nothing else guards the tables, and nothing else is needed.

Errors::

    ProcessorError
     +-- SupersededError       another worker holds the partition: give it up
     +-- RecordRefusedError    a record that the tables don't take: a dead letter
     +-- NarrowedError         a batch was applied but for such records: claim again
     +-- SwitchedError         another projection instance is the active one: go on with that
     +-- RefusedToStartError   log and projection do not fit: needs a person
          +-- LogTruncatedError   the log's first records are gone
"""


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


class RefusedToStartError(ProcessorError):
    """The log and the projection do not fit together; says why and what to do."""


class LogTruncatedError(RefusedToStartError):
    """The log does not begin at its first record, so nothing can be made from it."""
