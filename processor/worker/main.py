"""Runs the worker process: waits for Kafka and Postgres, then consumes until SIGTERM."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Final

import psycopg
import structlog

from processor.errors import NotReadyError, RefusedToStartError, SwitchedError
from processor.kafka.log_description import describe_log
from processor.kafka.reconciliation_key import check_key
from processor.kafka.row_reader import LogReader
from processor.kafka.schema_cache import WriterSchemas
from processor.pipeline.projector_thread import Projector
from processor.projection.projection import Projection
from processor.projection.session import APPLICATION, ProjectionSession, connect, is_transient
from processor.runtime.garbage_collection import rare_collections
from processor.tables.generations import Generations
from processor.tables.setup import ensure_active
from processor.worker.group_consumer import GroupConsumer
from processor.worker.outbox import Outbox
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.job_events import at_current_version
from schemas.clients.metrics import POSTGRES_FAILURES
from schemas.clients.outages import tell_outages
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.config.environment import SettingsError, read
from schemas.config.logs import configure_logging
from schemas.config.metrics import serve_metrics
from schemas.config.settings import Settings
from schemas.config.unknown import warn_of_unknown_settings
from schemas.runtime.essential import end_process_on_failure
from schemas.runtime.process import EXIT_REFUSED, stop_on_signals
from schemas.runtime.tracing import TRACES

if TYPE_CHECKING:
    from processor.tables.instance_registry import Instance

_RETRY_S: Final = 1.0


def main() -> None:
    """Run one worker; exits 0 on SIGTERM or SIGINT, 78 where it refuses to start."""
    configure_logging()
    warn_of_unknown_settings(os.environ)
    TRACES.start("processor", os.environ)
    end_process_on_failure()
    log = structlog.stdlib.get_logger("rollcall.processor")
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        with rare_collections():
            settings = read(Settings, os.environ)
            serve_metrics(settings.metrics)
            tell_outages(settings)
            run(settings, stopping)
    except (RefusedToStartError, SettingsError) as error:
        log.critical("refused to start", reason=str(error))
        sys.exit(EXIT_REFUSED)


def run(settings: Settings, stopping: threading.Event) -> None:
    """Work until ``stopping`` is set, each time for the instance that is active.

    Raises:
        RefusedToStartError: log and projection do not fit together.
        Exception: a permanent error of Postgres; the process ends with it.
    """
    log = structlog.stdlib.get_logger("rollcall.processor")
    while not stopping.is_set():
        try:
            _work(*_prepare(settings, stopping), stopping)
        except SwitchedError as error:
            log.info("projection switched", reason=str(error))
        except _StoppedError:
            return


def _work(settings: Settings, instance: Instance, stopping: threading.Event) -> None:
    schema = instance.schema
    generations = Generations(schema, settings.topics.user_events.partitions)
    projection = Projection(
        settings,
        generations=generations,
        read_rows=LogReader(settings).read_rows,
        reverted=instance.reverted,
    )
    session = ProjectionSession(settings, schema, reverted=instance.reverted)
    projector = Projector(session, projection)
    outbox = Outbox(settings, schema, generations)
    projector.start()
    outbox.start()
    try:
        consumer = GroupConsumer(settings, projector)
        consumer.run(lambda: stopping.is_set() or outbox.has_switched)
    finally:
        projector.stop()
        outbox.stop(_RETRY_S)


def _prepare(settings: Settings, stopping: threading.Event) -> tuple[Settings, Instance]:
    """Wait until the log and the tables are there and fit; the settings as the log is."""
    log = structlog.stdlib.get_logger("rollcall.processor")
    while not stopping.is_set():
        try:
            settings = at_current_version(settings)
            found = describe_log(settings)
            WriterSchemas(settings.schema_registry).register(settings.topics)
            check_key(settings)
            with connect(settings, APPLICATION) as connection:
                instance = ensure_active(connection, settings, found)
        except (NotReadyError, KafkaUnreachableError) as error:
            log.info("waiting for Kafka", reason=str(error))
        except RegistryUnreachableError as error:
            log.info("waiting for the schema registry", reason=str(error))
        except psycopg.Error as error:
            if not is_transient(error):
                raise
            POSTGRES_FAILURES.labels(type(error).__name__).inc()
            log.info("waiting for Postgres", reason=str(error).strip())
        else:
            if instance is not None:
                return settings.with_partitions(found.partitions), instance
            log.info("waiting for the builder: the tables are of an earlier version")
        stopping.wait(_RETRY_S)
    raise _StoppedError


class _StoppedError(Exception):
    """The process has been told to stop."""
