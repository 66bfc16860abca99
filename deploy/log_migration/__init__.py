"""Moving a log: its records written anew to topics of the next version, proved, and switched to.

A topic cannot be rewritten, so what must not stand in the log any more is left
out of a copy (``erase``), or a copy is made for another key or other partitions
(``rekey``), and the copy becomes the log.  The order is what makes it safe:

1. *Copy* all that is there, while everything goes on.
2. *Hold*: ``LogMove`` HELD in `job-events`; from then on no upload or write is
   taken (503), and jobs accepted before are published and projected to their end.
3. *Close* the old `user-events` for every producer, by its ``max.message.bytes``,
   which the broker enforces: what was acknowledged before is copied, and nothing
   can be acknowledged afterwards that would be lost.
4. *Prove*: the copy is read back, tables are made from it beside the live ones, and
   both are compared with what they were.
5. *Switch* the tables in one transaction.  Up to here nothing has changed but that
   the log was held, and a move that died is started over; from here on it is only
   completed, by any later run.
6. ``LogMove`` MOVED: the services go on in the new topics by themselves.
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
    """A move that has not taken place; the message says why."""


class MoveRefusedError(MoveError):
    """The log cannot be moved now, or so, or there is nothing to be moved for."""


class MoveFailedError(MoveError):
    """A proof does not hold."""
