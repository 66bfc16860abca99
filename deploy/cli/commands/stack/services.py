"""`./rollcall serve` and `./rollcall process`: services with Kafka and Postgres elsewhere."""

import os
from collections.abc import Sequence

import click

from deploy.cli.command_error import CommandError
from deploy.cli.options import processors_option
from deploy.cli.settings_check import check_settings
from deploy.processes.services import api_and_publisher, builder, processors
from deploy.processes.signals import exit_on_stop_signals, wait_for_signal
from deploy.processes.supervisor import ServiceRefusedError, Supervised, Supervisor
from ingest_api.app.settings import ApiSettings
from ingest_api.publisher.settings import PublisherSettings
from schemas.config.declared import described, name_of
from schemas.config.logs import configure_logging
from schemas.config.settings import Settings
from schemas.runtime.essential import end_process_on_failure

_SECTIONS = {
    "serve": (ApiSettings, PublisherSettings),
    "process": (Settings,),
    "setup": (Settings,),
}
"""The settings that the services of each command read."""


class ServiceCommand(click.Command):
    """A command that runs services; its help ends with the settings that they read."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write what the environment says."""
        with formatter.section("Environment"):
            formatter.write_dl(described(*_SECTIONS[self.name or ""]))


@click.command(cls=ServiceCommand)
@click.option("--host", help="Address to listen on; else ROLLCALL_HOST.")
@click.option("--port", type=int, help="TCP port to listen on; else ROLLCALL_PORT.")
def serve(host: str | None, port: int | None) -> None:
    """Run the HTTP API and its publisher, with Kafka and Postgres named by the environment."""
    environment = dict(os.environ)
    if host is not None:
        environment[name_of(ApiSettings, "host")] = host
    if port is not None:
        environment[name_of(ApiSettings, "port")] = str(port)
    check_settings(environment, *_SECTIONS["serve"])
    _run_until_stopped(api_and_publisher(environment))


@click.command(cls=ServiceCommand)
@processors_option
def process(processors: int) -> None:
    """Run processors and a builder, with Kafka and Postgres named by the environment.

    Of several builders one works at a time: it rebuilds, undoes jobs and looks back.
    """
    check_settings(os.environ, *_SECTIONS["process"])
    _run_until_stopped(_processors(processors))


def _processors(count: int) -> list[Supervised]:
    return [*processors(os.environ, count=count), builder(os.environ)]


def _run_until_stopped(services: Sequence[Supervised]) -> None:
    configure_logging()
    exit_on_stop_signals()
    end_process_on_failure()
    try:
        with Supervisor(services) as supervisor:
            wait_for_signal(supervisor.check)
    except ServiceRefusedError as error:
        raise CommandError(str(error)) from error
