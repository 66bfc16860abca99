"""Checks at the beginning of `job-events` for which keys the log was made, and who signs it.

The processor only checks it: the API's side says it, before the first job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.errors import RefusedToStartError
from schemas.clients.job_events import digest_marks, fetch_key
from schemas.codec.registry_protocol import RegistryUnreachableError

if TYPE_CHECKING:
    from schemas.config.settings import Settings


def check_key(settings: Settings) -> None:
    """Return where the log is one for the reconciliation key that is set, or says nothing yet.

    Raises:
        KafkaUnreachableError: Kafka does not answer, or the topic is not there yet.
        RefusedToStartError: the log was made for another key, is signed by keys that are not
            set, or is written by ids of a schema registry, and none is set.
        RegistryUnreachableError: the first records are in a schema that cannot be had now.
    """
    try:
        made_for = fetch_key(settings)
        check_digests(settings)
    except RegistryUnreachableError as error:
        if settings.schema_registry is None:
            raise RefusedToStartError(str(error)) from error
        raise
    if made_for is not None and (mismatch := settings.key_mismatch(made_for)):
        raise RefusedToStartError(mismatch)


def check_digests(settings: Settings) -> None:
    """Return where the keys that are set are those of the log, or it is not signed.

    Raises:
        RefusedToStartError: others have signed it.
    """
    if mismatch := settings.digest_mismatch(digest_marks(settings)):
        raise RefusedToStartError(mismatch)
