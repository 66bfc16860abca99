"""Whatever this package raises on purpose, where more than the raiser's own folder meets it.

An :class:`IngestError` ends a request, and knows nothing of HTTP.
Its message says why, for whoever asked; :mod:`ingest_api.web.refused` has the one table that
makes HTTP answers of them::

    IngestError
     +-- InvalidRequestError      it breaks a rule, or names what there isn't
     |    +-- UnknownJobError
     |    +-- UnknownUserError
     +-- RoleTooLowError          whoever asks may not
     +-- NotFoundError            its path names what there isn't
     +-- TooSlowError             it did not come whole in time
     +-- ConflictError            what there is stands against it
     |    +-- LogTruncatedError      the log's first records are gone
     |    +-- KeyChangedError        a dead letter is older than what its key has become
     +-- LimitReachedError        whoever asks has too much under way
     +-- UnavailableError         the surroundings don't let it be done now: try again
          +-- LogUnavailableError    Kafka
          |    +-- RecordTooLargeError
          |    +-- NotAppendedError
          +-- StoreUnavailableError  Postgres
          +-- TopicSetupError        the topics are not as they must be yet
          +-- ReadTimeoutError       the log was not read in time
          +-- NoAudienceError        no processor has made its tables yet
          +-- SchemaGoneError        a past audience was dropped before it was read
          +-- IssuerUnavailableError the keys of JWTs can't be fetched

A process meets the others by itself, and no request ends with them::

    ProcessError
     +-- LogMismatchError         settings and log don't fit together: it refuses to start
     +-- LogMovedError            the log goes on in other topics: it starts again
     +-- UploadLostError          the log no longer holds an accepted file: needs an operator
     +-- UnfitJobError            an accepted job that no pass can publish
     +-- RulesUnknownError        later code has accepted the job: needs that code
     +-- PassFailedError          a job is not published whole: the pass is made again
     +-- LeaseLostError           another publisher works
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

INVALID_FILE: Final = "Please upload a valid CSV file"
INVALID_PARAMETER: Final = "Invalid request parameter"
UNKNOWN_JOB: Final = "Invalid request ID. No request found with the provided ID"
UNKNOWN_USER: Final = (
    "Invalid audience member ID provided or no audience member found with given ID"
)
NO_AUDIENCE: Final = (
    "There is no audience to compare with, because no processor has made its"
    " tables yet: nothing was kept, try again once one runs"
)
LOG_UNAVAILABLE: Final = "Kafka can't be reached, try again"
STORE_UNAVAILABLE: Final = "Postgres can't be reached: nothing was kept, try again"
RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong with a request; ``line`` and ``column`` are of the file."""

    code: str
    message: str
    line: int | None = None
    column: str | int | None = None


class IngestError(Exception):
    """Anything that this package raises on purpose to end a request.

    ``code`` is the type's name for programs: that of an UnknownJobError is ``UNKNOWN_JOB``.
    """

    code: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).upper()

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.details = details

    @property
    def message(self) -> str:
        """Why, for whoever asked."""
        return str(self)


class InvalidRequestError(IngestError):
    """The request breaks a rule, or names what there isn't; nothing of it is kept."""


class UnknownJobError(InvalidRequestError):
    """There is no job with the id that was asked for."""

    def __init__(self) -> None:
        super().__init__(UNKNOWN_JOB)


class UnknownUserError(InvalidRequestError):
    """There is no user with the id that was asked for."""

    def __init__(self) -> None:
        super().__init__(UNKNOWN_USER)


class RoleTooLowError(IngestError):
    """Whoever asks has no role that may."""


class NotFoundError(IngestError):
    """There is nothing of the name or number that the path says."""


class TooSlowError(IngestError):
    """The request did not come whole within its time."""


class ConflictError(IngestError):
    """What there is stands against what is asked for; nothing was changed."""


class LogTruncatedError(ConflictError):
    """A topic does not begin with its first record; the message says which, and what to do."""


class LimitReachedError(IngestError):
    """Whoever asks has too much under way, or has failed too often."""

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(IngestError):
    """The surroundings don't let it be done now; the same request may be sent again.

    Where it isn't known whether it was done, it says of what: a job, or a write's event.
    """

    def __init__(
        self, message: str, *, job_id: int | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.event_id = event_id


class LogUnavailableError(UnavailableError):
    """Kafka did not acknowledge a record in time; it may be in the log or come into it later."""

    @property
    def message(self) -> str:
        """What concerns whoever asked; the text of the error itself is the client's own."""
        return LOG_UNAVAILABLE


class RecordTooLargeError(LogUnavailableError):
    """The topic takes no record so large, so it is not in the log and never will be."""


class StoreUnavailableError(UnavailableError):
    """Postgres doesn't answer; nothing was kept."""

    @property
    def message(self) -> str:
        """What concerns whoever asked; the text of the error itself is the client's own."""
        return STORE_UNAVAILABLE


class TopicSetupError(UnavailableError):
    """The topics are not as they must be, or Kafka cannot be asked; the message says what to do."""


class ReadTimeoutError(UnavailableError):
    """The log was not read as far as was asked in time, or the reader was closed."""

    def __init__(self, message: str = "The log was not read in time, try again") -> None:
        super().__init__(message)


class NoAudienceError(UnavailableError):
    """No processor has made the read model's tables yet."""

    def __init__(self) -> None:
        super().__init__(NO_AUDIENCE)


class SchemaGoneError(UnavailableError):
    """A projection instance was dropped before it was read."""

    def __init__(self) -> None:
        super().__init__("The past audience was dropped while it was read, try again")


class IssuerUnavailableError(UnavailableError):
    """The issuer's keys are not known, because it doesn't show them for now."""

    def __init__(self) -> None:
        super().__init__("The issuer of JWTs can't be reached, try again")


class ProcessError(Exception):
    """Anything that this package raises on purpose and that ends no request."""


class LogMismatchError(ProcessError):
    """Settings don't fit the log or the schema registry; the message says what to do."""


class LogMovedError(ProcessError):
    """The log goes on in the topics of another version.

    ``partitions`` is the number that its ``user-events`` has, where that is known already.
    """

    def __init__(self, version: int, partitions: int | None = None) -> None:
        super().__init__(f"the log goes on in its topics of version {version}")
        self.version = version
        self.partitions = partitions


class UploadLostError(ProcessError):
    """Chunks of an accepted file are no longer in the log, or are not what was accepted."""


class UnfitJobError(ProcessError):
    """The file does not come to what was accepted, or to a record that Kafka takes."""


class RulesUnknownError(ProcessError):
    """The job was accepted by later code, under rules that this code doesn't know."""


class PassFailedError(ProcessError):
    """Some of a pass is not in the log, and the pass has to be made again."""


class LeaseLostError(ProcessError):
    """Another publisher has the lease, or Kafka did not take the offset."""


def invalid_file(*details: Detail) -> InvalidRequestError:
    """Return the error of a form or a file that cannot be read."""
    return InvalidRequestError(INVALID_FILE, details)


def invalid_parameter(name: str, message: str) -> InvalidRequestError:
    """Return the error of a query parameter that is not what the contract allows."""
    return InvalidRequestError(
        INVALID_PARAMETER, [Detail("INVALID_PARAMETER", message, column=name)]
    )


def role_too_low(role: str, reason: str = "") -> RoleTooLowError:
    """Return the error of an account whose role is below this one; the reason may say why."""
    because = reason and f": {reason}"
    return RoleTooLowError(f"The role {role} is needed for this request{because}")
