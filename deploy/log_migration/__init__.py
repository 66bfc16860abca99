"""`rollcall erase` and `rollcall rekey`: rewrite the log to new topics, prove, switch.

A topic cannot be rewritten, so what must not stand in the log any more is left
out of a copy (``erase``), or a copy is made for another key or other partitions
(``rekey``), and the copy becomes the log.  The order is what makes it safe:

1. *Copy* all records, while the services keep running.
2. *Hold*: append ``LogMove`` HELD to `job-events`; from then on uploads and writes are
   answered with 503, and jobs accepted before are published and projected to their end.
3. *Close* the old `user-events` for every producer, by its ``max.message.bytes``,
   which the broker enforces: records acknowledged before are copied, and none can be
   acknowledged afterwards that would be lost.
4. *Prove*: read the copy back, make tables from it beside the live ones, and compare
   both with the originals.
5. *Switch* the tables in one transaction.  Up to here the log was only held, and a
   move that died is started over; from here on any later run completes it.
6. Append ``LogMove`` MOVED: the services go on in the new topics by themselves.
7. *Remove* the old topics and tables.

Owns copying, proving and switching a log; `erase` and `rekey` say what a copy changes.
Promises that a move killed anywhere is started over or completed by the same command.
May import nothing of `deploy`.

Errors::

    MoveError
     +-- MoveRefusedError   this log cannot be moved (now, or so): nothing has changed
     +-- MoveFailedError    the copy is not what it must be: nothing has changed
"""


class MoveError(Exception):
    """The log was not moved; the message says why."""


class MoveRefusedError(MoveError):
    """The log cannot be moved now or in this way, or there is no reason to move it."""


class MoveFailedError(MoveError):
    """The copy or its tables are not what they must be."""
