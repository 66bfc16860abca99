"""`./rollcall serve` and `./rollcall process`: services with Kafka and Postgres elsewhere."""

import os
import threading
from collections.abc import Sequence

import click

from deploy.cli.options import processors_option
from deploy.processes.services import api_and_publisher, builder, processors
from deploy.processes.signals import exit_on_stop_signals
from deploy.processes.supervisor import Supervised, Supervisor
from schemas.config.logs import configure_logging
from schemas.config.settings import SettingsError, read_settings
from schemas.runtime.essential import end_process_on_failure


@click.command()
@click.option("--host", envvar="ROLLCALL_HOST", default="127.0.0.1", show_default=True)
@click.option("--port", envvar="ROLLCALL_PORT", type=int, default=8080, show_default=True)
def serve(host: str, port: int) -> None:
    """Run the HTTP API and its publisher, with Kafka and Postgres named by the environment.

    ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL say where they are.
    """
    environment = {**os.environ, "ROLLCALL_HOST": host, "ROLLCALL_PORT": str(port)}
    _run_until_stopped(api_and_publisher(environment))


@click.command()
@processors_option
def process(processors: int) -> None:
    """Run processors and a builder, with Kafka and Postgres named by the environment.

    Of several builders one works at a time: it rebuilds, undoes jobs and looks back.

    ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL say where they are.
    """
    _run_until_stopped(_processors(processors))


def _processors(count: int) -> list[Supervised]:
    return [*processors(os.environ, count=count), builder(os.environ)]


def _run_until_stopped(services: Sequence[Supervised]) -> None:
    # Told here once, not by every process at every restart.
    try:
        read_settings(os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    configure_logging()
    exit_on_stop_signals()
    end_process_on_failure()
    with Supervisor(services):
        threading.Event().wait()
