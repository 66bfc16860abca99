"""The command line program, without anything that runs."""

import pytest
from click.testing import CliRunner

from deploy.cli import main


def test_help_lists_every_command() -> None:
    """`./rollcall --help` shows all there is, in the order in which it is used."""
    result = CliRunner().invoke(main, ["--help"])

    listed = [line.split()[0] for line in result.output.partition("Commands:")[2].splitlines()[1:]]
    assert listed == [
        *("demo", "up", "serve", "process", "import", "status"),
        *("errors", "users", "psql", "test", "bench"),
    ]


@pytest.mark.parametrize(
    "command", ["demo", "up", "serve", "process", "import", "status", "errors", "users", "psql"]
)
def test_each_command_explains_itself(command: str) -> None:
    """Each command can be imported and has its help."""
    result = CliRunner().invoke(main, [command, "--help"])

    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.output


def test_an_unknown_command_is_refused() -> None:
    """A typing error is named."""
    result = CliRunner().invoke(main, ["improt"])

    assert result.exit_code == 2
    assert "No such command 'improt'" in result.output
