"""`./rollcall doctor`: looks at everything, and says what to do."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from deploy.cli.options import data_dir_option
from deploy.cli.output.tables import output, print_json, print_line
from deploy.cli.settings_check import mistakes_of
from deploy.cli.stack_settings import is_told, settings_of
from deploy.doctor.doctor import examine
from deploy.doctor.finding import Finding, exit_status
from ingest_api.app.settings import ApiSettings
from ingest_api.publisher.settings import PublisherSettings
from schemas.config.declared import name_of
from schemas.config.unknown import unknown_settings

_MARKS = {"fine": "ok", "todo": "TODO", "unseen": "-", "unreachable": "DOWN"}


@click.command(
    epilog="Exit status: 0 all is fine; 1 something is to be done, and it is said what; 2 nobody"
    " can look, because settings are wrong, or Kafka or Postgres does not answer."
)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def doctor(*, data_dir: Path, as_json: bool) -> None:
    """Look at everything that Rollcall needs, change nothing, and say what to do.

    Settings, disks, Kafka, topics with their retention and replicas, Postgres, clock, rights,
    tables, services, accounts, and whether publishing, projecting and the outbox go on.

    Kafka and Postgres are those of the stack that runs on --data-dir, or, where they are set, of
    ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL, with the services' other settings.
    """
    settings = settings_of(data_dir)
    is_direct = is_told(os.environ)
    sections = (ApiSettings, PublisherSettings) if is_direct else ()
    mistakes = [*unknown_settings(os.environ), *mistakes_of(os.environ, *sections)]
    watched = os.environ.get(name_of(ApiSettings, "watched_folder"))
    told = [Path(watched)] if watched else []
    folders = told if is_direct else [data_dir]
    findings: list[Finding] = []
    for finding in examine(settings, mistakes, folders):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        print_json({"exitStatus": exit_status(findings), "findings": listed})
    sys.exit(exit_status(findings))


def _print(finding: Finding) -> None:
    print_line(output(), f"{_MARKS[finding.state]:5} {finding.subject}: {finding.seen}")
    if finding.remedy and finding.state != "fine":
        print_line(output(), f"      → {finding.remedy}")
