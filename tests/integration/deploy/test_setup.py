"""`rollcall setup`: the topics are made before any service starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from deploy.cli.main import main
from ingest_api.kafka.log_setup import fetch_key

if TYPE_CHECKING:
    from click.testing import Result

    from tests.support.servers.surroundings import Ground


def _setup(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["setup", *arguments], env=environ)


def test_the_log_is_made_once(env: Ground) -> None:
    """Every topic and the key are there; a second run changes nothing."""
    first, second = _setup(dict(env.environ)), _setup(dict(env.environ))

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.output == second.output
    assert all(topic.name in first.output for topic in env.settings.topics.all())
    assert fetch_key(env.settings) == "email"


def test_what_does_not_fit_ends_with_2_and_what_is_away_with_1(env: Ground) -> None:
    """A job is tried again in the second case only."""
    assert _setup(dict(env.environ)).exit_code == 0
    key = _setup({**env.environ, "ROLLCALL_RECONCILIATION_KEY": "mobileNumber"})
    nobody = {**env.environ, "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    away = _setup(nobody, "--wait", "0")

    assert (key.exit_code, away.exit_code) == (2, 1)
    assert "mobileNumber" in key.output
    assert "Error: Kafka" in away.output
