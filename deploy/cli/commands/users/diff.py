"""`./rollcall diff`: what has changed in the audience between two points in time."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click

from deploy.api_client.retry import with_retries
from deploy.cli.api_command import ApiCommand, json_option, url_option
from deploy.cli.as_of import build_wait
from deploy.cli.output.downloads import Download, download_to, opened
from deploy.cli.output.tables import (
    DEFAULT_PAGE_SIZE,
    output,
    print_line,
    print_table,
    progress_console,
    text,
)
from deploy.cli.session import api
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET

_KINDS = ("added", "changed", "removed")
_COLUMNS = ("kind", "key", "field", "before", "after", "id")
_MOST_PAGE_SIZE = 1000
_FILES = {"csv_path": CSV, "parquet_path": PARQUET}
_PATH = "/audience/diff"


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall diff 5889218372019237411 now",
        "rollcall diff 2026-11-24 2026-11-25 --kind removed",
        "rollcall diff 5889218372019237411 5889218372019237999 --csv changes.csv",
        "rollcall diff 5889218372019237411 now --parquet changes.parquet",
        "rollcall diff 2026-11-24T00:00+01:00 now --json | jq '.entries[].key'",
    ),
)
@click.argument("before", metavar="FROM")
@click.argument("after_point", metavar="TO")
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    multiple=True,
    help="Only such differences; may be given several times.",
)
@click.option("--after", metavar="KEY", help="Only users whose key comes after this one.")
@click.option(
    "--page-size",
    type=click.IntRange(1, _MOST_PAGE_SIZE),
    default=DEFAULT_PAGE_SIZE,
    show_default=True,
    help="How many are shown in the table.",
)
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write all differences to this file, a line for each field; - is stdout.",
)
@click.option(
    "--parquet",
    "parquet_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The same as Parquet.",
)
@json_option
@url_option
def diff(*, before: str, after_point: str, as_json: bool, url: str, **wanted: Any) -> None:
    """Show which users were added, changed and removed between FROM and TO.

    Each is a time (in UTC where it says no zone), the id of a job, which means after it, or `now`.
    --json, --csv and --parquet tell all differences, the table a page of them.
    """
    query: dict[str, Any] = {"from": before, "to": after_point, "pageSize": wanted["page_size"]}
    query |= {"kind": list(wanted["kind"]) or None, "after": wanted["after"]}
    console = progress_console()
    waits = build_wait(console)
    with api(url) as client:
        for option, media_type in _FILES.items():
            if (path := wanted[option]) is not None:
                download_to(path, client, _all(query, media_type), waits, console)
                return
        first = with_retries(lambda: client.get(_PATH, query), waits)
        if as_json:
            wanted_all = _all(query, NDJSON)
            with opened(client, wanted_all, waits, console) as found:
                _write_json(sys.stdout.buffer, first, found.pieces)
        else:
            _print(first, wanted["page_size"])


def _all(query: Mapping[str, Any], media_type: str) -> Download:
    return Download(
        path=_PATH,
        query=query,
        media_type=media_type,
        noun="differences",
        has_lines=media_type != PARQUET,
    )


def _print(first: Mapping[str, Any], size: int) -> None:
    console = output()
    counts = ", ".join(f"{first[kind]} {kind}" for kind in _KINDS if first[kind] is not None)
    found = first["entries"]
    more = f" (the next page: --after {found[-1]['key']})" if len(found) == size else ""
    head = f"From {first['from']} to {first['to']}"
    rows = [row for entry in found for row in _rows(entry, is_short=True)]
    if rows:
        print_table(console, f"{head}: {counts}{more}".replace(": (", " ("), _COLUMNS, rows)
    else:
        print_line(console, f"{head}: {counts or 'no more differences'}")


def _rows(entry: Mapping[str, Any], *, is_short: bool = False) -> Iterator[dict[str, Any]]:
    """Yield a row for each field that differs; the entry's own stands in all, or the first one."""
    place = {name: entry[name] for name in ("kind", "key", "id")}
    before: dict[str, Any] = entry["before"] or {}
    after: dict[str, Any] = entry["after"] or {}
    for name in dict.fromkeys((*before, *after)):
        values = {"before": text(before.get(name)), "after": text(after.get(name))}
        yield {**place, "field": name, **values}
        place = {} if is_short else place


def _write_json(file: IO[bytes], first: Mapping[str, Any], found: Iterable[bytes]) -> None:
    """One JSON value, written as the entries come, each on a line of its own."""
    head = {name: first[name] for name in ("from", "to", *_KINDS)}
    file.write(json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "entries": [')
    separator, rest = b"\n", b""
    for piece in found:
        *entries, rest = (rest + piece).split(b"\n")
        if entries:
            file.write(separator + b",\n".join(entries))
            separator = b",\n"
    file.write(b"\n]}\n")
    file.flush()
