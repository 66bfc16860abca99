"""The command line program: `./rollcall COMMAND`.

A command's module is imported when it is run, so that `--help` and small commands need not wait
for the libraries of the others.
"""

import importlib
from typing import Any

import click

from schemas import __version__

_COMMANDS = {
    "demo": ("deploy.cli.demo:demo", "Start everything and import sample files in each mode."),
    "up": ("deploy.cli.up:up", "Start everything on this machine, and keep it running."),
    "serve": ("deploy.cli.services:serve", "Run the HTTP API only, with its publisher."),
    "process": ("deploy.cli.services:process", "Run the processor only."),
    "import": ("deploy.cli.import_file:import_file", "Upload a CSV file and follow its progress."),
    "status": ("deploy.cli.reports:status", "Show one job, or the newest ones."),
    "errors": ("deploy.cli.reports:errors", "Show the rejected lines of a job."),
    "users": ("deploy.cli.reports:users", "Show the users of the active audience."),
    "psql": ("deploy.cli.psql:psql", "Open the database of the running stack."),
    "test": ("deploy.cli.tests:test", "Run the tests."),
    "bench": ("deploy.bench.command:bench", "Measure speed and memory against a baseline."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rollcall")
def main() -> None:
    """Rollcall imports users in bulk: over HTTP, through Kafka, into Postgres."""
