"""`./rollcall import`: uploads a file and follows its job; dry runs."""

import contextlib
import shutil
import sys
import tempfile
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import click

from deploy.api_client.client import ApiClient, ApiError
from deploy.api_client.job import JobCounts
from deploy.api_client.retry import is_passing
from deploy.api_client.upload import Upload, send, send_for_dry_run
from deploy.cli.api_command import ApiCommand, call_options
from deploy.cli.command_error import CommandError
from deploy.cli.delimiter import Delimiter, shown_delimiter
from deploy.cli.output.dry_run_preview import print_dry_run, removal_text
from deploy.cli.output.error_file import write_error_file
from deploy.cli.output.job_progress import follow_job, send_upload
from deploy.cli.output.plain import plain
from deploy.cli.output.tables import output, print_counts, print_json, progress_console
from deploy.cli.session import api
from ingest_api.parsing.file_format import AUTO
from schemas.events import JOB_MODES
from schemas.rules.modes import REMOVING

_NOT_ALL_LINES = 1
_NOT_SURE = 1
_INTERRUPTED = 130
_PACKED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".xlsx"}
"""The first bytes of a packed file or workbook, and how its name ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImportOptions:
    """The options that are not of the upload itself."""

    dry_run: bool
    is_sure: bool
    waits: bool
    errors_path: Path | None
    idempotency_key: str | None
    retry_for_s: float
    as_json: bool


@click.command(
    "import",
    cls=ApiCommand,
    examples=(
        "rollcall import users.csv",
        "rollcall import users.csv --mode upsert --dry-run",
        "rollcall import users.csv --mode upsert --errors rejected.csv",
        "rollcall import mailchimp.csv --map auto --ignore-unknown   # see `rollcall inspect`",
        "rollcall import users.csv --map 'Contact=Email' --map 'Notes=ignore'",
        "rollcall import export.txt.gz --delimiter '|' --charset windows-1252",
        "rollcall import users.xlsx --sheet Customers",
        "rollcall import kunden.csv --phone-region DE --date-order DMY",
        "rollcall import users.csv --max-rejected 0   # all or nothing",
        "rollcall import users.csv --on-invalid-optional drop   # keep the user, drop the cell",
        "rollcall import all.csv --mode delsert --max-delete-percent 5",
        "rollcall import left.csv --mode delete",
        "rollcall import more.csv --mode update --overwrite blank",
        "mysql … | rollcall import - --mode upsert --no-wait",
    ),
    exit_status={
        0: "Every line went in; with --dry-run: every line would; with --no-wait: accepted.",
        1: "Some lines were rejected; with --dry-run: some would be; or the answer to the question"
        " was no.",
        _INTERRUPTED: "Ctrl-C; an accepted job goes on.",
    },
)
@click.argument(
    "path",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option(
    "--mode",
    type=click.Choice(JOB_MODES),
    default="insert",
    show_default=True,
    help="insert adds, upsert adds and changes, update changes only, ignore adds and passes over "
    "who is there, delsert replaces the whole audience, delete deletes the users of its keys.",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    type=Delimiter(),
    help="What stands between cells: , ; | - or a tab (TAB); auto: what fits the header.  [default:"
    " auto, or the preset's]",
)
@click.option("--charset", metavar="NAME", help="Encoding of the file.  [default: UTF-8]")
@click.option(
    "--blank-cells",
    type=click.Choice(["keep", "clear"]),
    help="What a blank cell of an upsert or update does to a value that is there.  [default: keep]",
)
@click.option(
    "--overwrite",
    metavar="RULES",
    help="always, or blank: only fill what a user has no value in; or by column, such as "
    "blank,State=always.  [default: always]",
)
@click.option(
    "--on-invalid-optional",
    "invalid_optional",
    type=click.Choice(["reject", "drop"]),
    help="What an invalid value of an optional column does: reject its line, or drop the value and"
    " note it, see `rollcall notes`.  [default: reject]",
)
@click.option(
    "--phone-region",
    metavar="COUNTRY",
    help="Country of phone numbers that name none, by two letters, as GB.  [default: none]",
)
@click.option(
    "--date-order",
    type=click.Choice(["MDY", "DMY", "YMD"]),
    help="How dates are written: MDY as 12/31/2025, DMY as 31/12/2025.  [default: MDY]",
)
@click.option(
    "--max-delete-percent",
    type=click.FloatRange(0, 100),
    help="Refuse a delsert or delete that would remove more of the audience than this.  [default:"
    " the server's, 50 unless set otherwise; 100 lifts the limit]",
)
@click.option(
    "--max-rejected",
    type=click.IntRange(min=0),
    help="Import nothing where more lines than this would be rejected; 0: all or nothing.",
)
@click.option(
    "--max-rejected-percent",
    type=click.FloatRange(0, 100),
    help="The same as a share of the lines.  [default of a delsert: the server's, 10 unless set"
    " otherwise; 100 lifts the limit]",
)
@click.option(
    "--yes",
    "is_sure",
    is_flag=True,
    help="Don't ask before a delsert or delete; only on a terminal is asked at all.",
)
@click.option(
    "--map",
    "columns",
    metavar="HEADER=FIELD",
    multiple=True,
    help="What a column of another name holds, or ignore; may be given for several. '!Email"
    " Subscription': who has opted out of it. auto: what the exports of other programs mean by"
    " their columns' names.",
)
@click.option(
    "--ignore-unknown",
    "unknown_columns",
    flag_value="ignore",
    default=None,
    help="Leave columns out whose names are unknown.",
)
@click.option(
    "--opt-ins",
    type=click.Choice(["keep", "apply"]),
    help="Whether the file may opt in who has opted out; apply is for administrators."
    "  [default: keep]",
)
@click.option(
    "--add-unknown",
    "unknown_columns",
    flag_value="attribute",
    default=None,
    help="Define custom attributes for them, of text; takes the role admin.",
)
@click.option(
    "--sheet",
    metavar="NAME",
    help="Of an Excel workbook: the sheet, by name or number.  [default: the first]",
)
@click.option(
    "--preset",
    metavar="NAME",
    help="Options kept under this name count where none is given here; see `rollcall presets`.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen, and change nothing.")
@click.option(
    "--errors",
    "errors_path",
    metavar="OUT.csv",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write the rejected lines to this file, if there are any: correct it, import it again.",
)
@click.option(
    "--no-wait",
    "waits",
    is_flag=True,
    flag_value=False,
    default=True,
    help="End once the upload is accepted; `rollcall status JOB --wait` follows the job.",
)
@click.option(
    "--idempotency-key",
    metavar="TEXT",
    help="Uploads of the same file with the same key end in one job.  [default: a new key]",
)
@click.option(
    "--retry-for",
    "retry_for_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=120,
    show_default=True,
    help="How long it is sent again, with its key, while the API doesn't answer or is busy.",
)
@call_options
def import_file(path: Path, *, url: str, **given: Any) -> None:
    """Upload the CSV file FILE (- for standard input), and follow its job to its end.

    The first line names the columns, in any order and case. A file whose name ends in .gz, .zst,
    .xlsx (an Excel workbook) or .ndjson is sent as it is. A broken connection is no harm: the
    upload is sent again with the same idempotency key, so that it becomes one job.
    """
    own = {each.name: given.pop(each.name) for each in fields(_ImportOptions)}
    options = _ImportOptions(**own)
    _check(options)
    if given["max_delete_percent"] is not None and given["mode"] not in REMOVING:
        message = "--max-delete-percent is for --mode delsert or delete; others delete nobody."
        raise click.UsageError(message)
    with opened_file(path) as (file, name), api(url) as client:
        upload = upload_of(file, name, given)
        if options.dry_run:
            _try(client, upload, options)
        elif options.is_sure or _may_remove(client, upload, options):
            _import(client, upload, options)
        else:
            sys.exit(_NOT_SURE)


def upload_of(file: BinaryIO, name: str, given: Mapping[str, Any]) -> Upload:
    """Return the upload with the options of the command line."""
    options = dict(given)
    delimiter = options.pop("delimiter") or (None if options["preset"] else AUTO)
    return Upload(file=file, name=name, delimiter=delimiter, **options)


def _may_remove(client: ApiClient, upload: Upload, options: _ImportOptions) -> bool:
    """Ask, with the numbers of a dry run, before users go, where there is somebody to be asked."""
    if upload.mode not in REMOVING or not sys.stdin.isatty():
        return True
    answer = _dry_run(client, upload, options)
    if refusals := [str(each["message"]) for each in answer.get("refusedFor", ())]:
        raise CommandError("\n  ".join(["the file would be refused", *refusals]))
    click.echo(f"{plain(upload.name)} {removal_text(answer)}", err=True)
    return click.confirm("Go on?", err=True)


def _check(options: _ImportOptions) -> None:
    if options.idempotency_key == "":
        message = "--idempotency-key is empty: give a text, or leave it out for a new key."
        raise click.UsageError(message)
    if options.errors_path is None:
        return
    if options.dry_run or not options.waits:
        message = "--errors needs a finished import; it can't be with --dry-run or --no-wait."
        raise click.UsageError(message)
    if not options.errors_path.resolve().parent.is_dir():
        raise CommandError(f"{options.errors_path} cannot be written: there is no such folder")


def _dry_run(client: ApiClient, upload: Upload, options: _ImportOptions) -> dict[str, Any]:
    return send_upload(
        upload,
        lambda advance: send_for_dry_run(client, upload, advance=advance),
        progress_console(),
        retry_for_s=options.retry_for_s,
    )


def _try(client: ApiClient, upload: Upload, options: _ImportOptions) -> None:
    answer = _dry_run(client, upload, options)
    if options.as_json:
        print_json(answer)
    else:
        _tell_delimiter(upload, answer)
        print_dry_run(output(), upload.name, answer)
    if answer["reject"]:
        sys.exit(_NOT_ALL_LINES)


def _import(client: ApiClient, upload: Upload, options: _ImportOptions) -> None:
    answer = _sent(client, upload, options)
    job_id = str(answer["id"])
    for note in answer.get("notes", ()):
        click.echo(note, err=True)
    if not options.waits:
        if options.as_json:
            print_json(answer)
        else:
            click.echo(f"Job {job_id}: {answer['message']}")
        return
    try:
        status = follow_job(client, job_id, upload.name, progress_console())
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted; the job goes on: `rollcall status {job_id} --wait`, "
            f"unless you cancel it: `rollcall cancel {job_id}`.",
            err=True,
        )
        sys.exit(_INTERRUPTED)
    _tell_delimiter(upload, status)
    _report(client, job_id, status, options)


def _tell_delimiter(upload: Upload, answer: Mapping[str, Any]) -> None:
    """Say which delimiter was found, where it is not the usual one."""
    found = answer.get("delimiter")
    if upload.delimiter == AUTO and found not in {None, "COMMA"}:
        click.echo(f"Between the cells stands {shown_delimiter(str(found))}.", err=True)


def _sent(client: ApiClient, upload: Upload, options: _ImportOptions) -> dict[str, Any]:
    key = options.idempotency_key or str(uuid.uuid4())
    again = f"the same import with --idempotency-key {key} ends in one job"
    try:
        return send_upload(
            upload,
            lambda advance: send(client, upload, idempotency_key=key, advance=advance),
            progress_console(),
            retry_for_s=options.retry_for_s,
        )
    except ApiError as error:
        if not is_passing(error):
            raise
        raise CommandError(f"{error}\n  Try it again: {again}.") from error
    except KeyboardInterrupt:
        click.echo(f"Interrupted in the upload; {again}.", err=True)
        sys.exit(_INTERRUPTED)


def _report(
    client: ApiClient, job_id: str, status: dict[str, Any], options: _ImportOptions
) -> None:
    counts = JobCounts.of(status)
    if options.as_json:
        print_json(status)
    else:
        print_counts(output(), job_id, counts)
    if options.errors_path is not None and counts.rejected:
        write_error_file(client, job_id, options.errors_path)
    elif counts.rejected:
        click.echo(f"See `rollcall errors {job_id}`.", err=True)
    if counts.state == "FAILED":
        click.echo(status["statusMessage"], err=True)
    if counts.state != "COMPLETED":
        sys.exit(_NOT_ALL_LINES)


@contextlib.contextmanager
def opened_file(path: Path) -> Generator[tuple[BinaryIO, str]]:
    """Open the file; yield it, and the name to send it under.

    What can be read only once is kept in an unnamed file first, so that it can be sent again.
    """
    is_stdin = str(path) == "-"
    try:
        with contextlib.ExitStack() as stack:
            if is_stdin:
                yield _kept(stack, sys.stdin.buffer, "stdin.csv")
                return
            file = stack.enter_context(path.open("rb"))
            yield (file, path.name) if path.is_file() else _kept(stack, file, path.name)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error


def _kept(stack: contextlib.ExitStack, source: BinaryIO, name: str) -> tuple[BinaryIO, str]:
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(source, file)
    file.seek(0)
    head = file.read(max(map(len, _PACKED)))
    for magic, suffix in _PACKED.items():
        if head.startswith(magic) and not name.endswith(suffix):
            return file, f"{name}{suffix}"
    return file, name
