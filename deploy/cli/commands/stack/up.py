"""`./rollcall up`: starts Kafka, Postgres and all services on this machine."""

import contextlib
import logging
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import click
import structlog
from rich.console import Console

from deploy.cli.command_error import CommandError
from deploy.cli.options import data_dir_option, processors_option
from deploy.cli.page_offer import NO_OFFER, OFFER, PageOffer, is_offered
from deploy.cli.settings_check import check_settings
from deploy.local_stack.data_dir import DataDirInUseError
from deploy.local_stack.java import JavaError
from deploy.local_stack.kafka import KafkaError
from deploy.local_stack.kafka_jars import JarError
from deploy.local_stack.postgres import PostgresError
from deploy.local_stack.rollcall import (
    NotReadyError,
    Plan,
    PortInUseError,
    Running,
    own_settings,
    running_rollcall,
)
from deploy.local_stack.settings import StackSettings
from deploy.processes.signals import exit_on_stop_signals, wait_for_signal
from deploy.processes.supervisor import ServiceRefusedError
from ingest_api.app.settings import ApiSettings
from ingest_api.publisher.settings import PublisherSettings
from schemas.config.environment import with_settings
from schemas.runtime.disk import Disk
from schemas.runtime.essential import end_process_on_failure

_START_ERRORS = (
    DataDirInUseError,
    JarError,
    JavaError,
    KafkaError,
    NotReadyError,
    PortInUseError,
    PostgresError,
)
_log = structlog.stdlib.get_logger("rollcall.up")
_CHANGED = "changed since; `rollcall accounts reset-password admin` sets another"
_SECTIONS = (StackSettings, ApiSettings, PublisherSettings)

port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the HTTP API.  [default: 8080, or the next one that is free]",
)


@click.command()
@port_option
@data_dir_option
@processors_option
def up(port: int | None, data_dir: Path, processors: int) -> None:
    """Start Kafka, Postgres and all services on this machine, until Ctrl-C.

    A process that dies is started again. The administrator's password is ROLLCALL_ADMIN_PASSWORD,
    else generated at the first start.
    """
    with started(Plan(data_dir, port, processors)) as running:
        print_running(running)
        run_until_stopped(running)


@contextlib.contextmanager
def started(plan: Plan) -> Generator[Running]:
    """Start everything for a command that a signal ends; yield it once it is ready.

    Raises:
        click.ClickException: It cannot be started, or go on; the message says why.
    """
    check_settings(with_settings(os.environ, own_settings("kafka", "dbname=any", 1)), *_SECTIONS)
    console = Console(stderr=True)
    _configure_logs()
    exit_on_stop_signals()
    end_process_on_failure()
    with contextlib.ExitStack() as exit_stack:
        try:
            with console.status("Starting Kafka, Postgres and the services …"):
                running = exit_stack.enter_context(running_rollcall(plan, console))
        except _START_ERRORS as error:
            raise click.ClickException(str(error)) from error
        except ServiceRefusedError as error:
            raise CommandError(str(error)) from error
        try:
            yield running
        except ServiceRefusedError as error:
            raise CommandError(str(error)) from error
        finally:
            console.print("Stopping …")


def print_running(running: Running) -> None:
    """Print where everything is."""
    kept = f"  (kept in {running.password_path})" if running.password_path else ""
    password = f"{running.account.password}{kept}" if running.is_password_right else _CHANGED
    lines = (
        f"Rollcall is ready at {running.url}",
        f"Page: {running.url}/  (sign in there with a browser)",
        f"User: {running.account.user}",
        f"Password: {password}",
        f"Logs: {running.log_dir}",
        f"Kafka: {running.stack.bootstrap_servers}",
        f"Postgres: {running.stack.conninfo}",
    )
    click.echo("\n".join(lines))


def run_until_stopped(running: Running) -> NoReturn:
    """Block until a signal ends the command, or a service can't run any more."""
    has_offer = is_offered()
    click.echo(OFFER if has_offer else NO_OFFER)
    folder = running.stack.data_dir
    wait_for_signal(
        running.services.check,
        DiskWatch(folder.path).check,
        folder.rotate_logs,
        PageOffer(f"{running.url}/", sys.stdin if has_offer else None).check,
    )


class DiskWatch:
    """Says once that a folder's disk is nearly full, is full, and has room again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_low = self._is_full = False

    def check(self) -> None:
        """Look at the disk, and say what is new."""
        disk = Disk.of(self._folder)
        if (disk.is_low, disk.is_full) == (self._is_low, self._is_full):
            return
        self._is_low, self._is_full = disk.is_low, disk.is_full
        _log.warning(disk.fault() or f"The disk of {self._folder} has room again.")


def _configure_logs() -> None:
    # Services write to files of their own; here only what needs a person's eye is shown.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
