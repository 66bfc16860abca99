"""`./rollcall verify`: compares the tables with the log."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.cli.command_error import CommandError
from deploy.cli.options import data_dir_option
from deploy.cli.output.progress import reported, share_text
from deploy.cli.output.tables import output, print_line, progress_console
from deploy.cli.stack_settings import settings_of
from processor.errors import VerificationError
from processor.verification.verify import Verification, verify_active
from schemas.config.settings import Settings

_DIFFERENCES = 1


@click.command(
    epilog="Exit status: 0 proven; 1 differences were found, each is named; 2 refused, or Kafka or"
    " Postgres could not be reached."
)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def verify(*, data_dir: Path, as_json: bool) -> None:
    """Prove that the tables are exactly what the log comes to.

    Reads the whole log and folds it apart from the projection, then compares every column of every
    user, every count, every job and every offset with one snapshot of the tables.
    Imports may go on meanwhile: they are neither held up nor in the way.

    Kafka and Postgres are those of the stack that runs on --data-dir, or, where they are set, of
    ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL.
    """
    settings = settings_of(data_dir)
    try:
        found = _with_progress(settings, progress_console())
    except VerificationError as error:
        raise CommandError(str(error)) from error
    if as_json:
        click.echo(json.dumps(_as_json(found), ensure_ascii=False, indent=2))
    else:
        _print(output(), found)
    if not found.is_proven:
        sys.exit(_DIFFERENCES)


def _with_progress(settings: Settings, console: Console) -> Verification:
    begun_s = time.monotonic()
    with reported(console, "Fold the log") as progress:

        def show(done: int, total: int) -> None:
            progress.show(done, total, share_text(done, total, "records", begun_s=begun_s))

        return verify_active(settings, note_progress=show)


def _print(console: Console, found: Verification) -> None:
    for check in found.checks:
        state = "ok  " if not check.differences else "DIFF"
        more = f": {check.differences:,} differences" if check.differences else ""
        print_line(console, f"{state}  {check.table}: {check.compared}{more}")
    for finding in found.findings:
        print_line(console, f"  {finding}")
    for kind, count in found.counts.items():
        hidden = count - sum(finding.kind == kind for finding in found.findings)
        if hidden:
            print_line(console, f"  … and {hidden:,} more of {kind}")
    rate = found.records / max(found.elapsed_s, 0.001)
    result = (
        "Proven: the tables are what the log comes to"
        if found.is_proven
        else f"Not proven: {sum(found.counts.values()):,} differences"
    )
    offsets = ", ".join(map(str, found.next_offsets))
    print_line(console, f"{result}, up to the offsets {offsets} ({found.schema}).")
    print_line(
        console,
        f"{found.records:,} records and {found.users:,} users in {found.elapsed_s:.1f} s,"
        f" {rate:,.0f} records/s.",
    )


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        "isProven": found.is_proven,
        "schema": found.schema,
        "nextOffsets": found.next_offsets,
        "records": found.records,
        "users": found.users,
        "jobs": found.jobs,
        "finishedJobs": found.finished_jobs,
        "lines": found.lines,
        "rejections": found.rejections,
        "elapsedSeconds": round(found.elapsed_s, 3),
        "checks": [asdict(check) for check in found.checks],
        "findings": [asdict(finding) for finding in found.findings],
        "differences": found.counts,
    }
