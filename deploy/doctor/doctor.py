"""All that is looked at, in the order in which one thing stands on another."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import psycopg

from deploy.doctor.finding import Finding, judged
from deploy.doctor.kafka import current_log, kafka_findings, log_as_it_is
from deploy.doctor.postgres import postgres_findings
from deploy.doctor.progress import progress_findings
from ingest_api.errors import LogUnavailableError
from processor.errors import NotReadyError
from processor.projection.session import connect
from schemas.clients.errors import KafkaUnreachableError
from schemas.runtime.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from schemas.config.settings import Settings

_APPLICATION: Final = "doctor"
_UNREACHABLE: Final = (KafkaUnreachableError, LogUnavailableError, NotReadyError)
_AWAY: Final = "unreachable"


def examine(
    settings: Settings, mistakes: Sequence[str], folders: Sequence[Path]
) -> Iterator[Finding]:
    """Yield what is found, as it is found.

    ``mistakes`` are those of the services' other settings, ``folders`` those whose disks are looked
    at.
    """
    fine = "each has a value that it takes"
    fault = " ".join(mistakes) or None
    yield judged("settings", fine, fault, "`rollcall settings` lists all there are")
    yield from _disks(folders)
    kafka = "kafka", f"start it, or look at its address, {settings.bootstrap_servers}"
    postgres = "postgres", "start it, or look at ROLLCALL_DATABASE_URL"
    found: list[Settings] = []

    def of_kafka() -> Iterator[Finding]:
        found.append(current_log(settings))
        yield from kafka_findings(found[0])

    yield from _reached(of_kafka, kafka)
    try:
        connection = connect(settings, _APPLICATION)
    except psycopg.OperationalError as error:
        yield Finding("postgres", _AWAY, str(error).strip(), postgres[1])
        return
    with closing(connection):
        of_log = found[0] if found else settings
        yield from _reached(lambda: postgres_findings(of_log, connection), postgres)
        if found:
            yield from _reached(lambda: _progress(found[0], connection), kafka)


def _progress(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    log = log_as_it_is(settings)
    if log is not None:
        yield from progress_findings(log, connection)


def _reached(look: Callable[[], Iterator[Finding]], server: tuple[str, str]) -> Iterator[Finding]:
    """Yield the findings, up to where the server does not answer."""
    name, remedy = server
    try:
        yield from look()
    except (*_UNREACHABLE, psycopg.OperationalError) as error:
        yield Finding(name, _AWAY, str(error).strip(), remedy)


def _disks(folders: Sequence[Path]) -> Iterator[Finding]:
    for folder in folders:
        try:
            disk = Disk.of(folder)
        except OSError as error:
            fault = f"{folder} can't be read: {error.strerror}"
            yield Finding("disk", "todo", fault, "set ROLLCALL_WATCHED_FOLDER to one that can")
        else:
            free = f"{disk.free_bytes / 1e9:,.1f} of {disk.total_bytes / 1e9:,.1f} GB free"
            yield judged("disk", f"{folder}: {free}", disk.fault(), "make room on it")
    if not folders:
        seen = "those of Kafka and Postgres can't be seen from here; ROLLCALL_WATCHED_FOLDER names"
        yield Finding("disk", "unseen", f"{seen} a folder on one that can")
