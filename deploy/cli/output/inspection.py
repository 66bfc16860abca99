"""Prints what a file is, and the command that imports it."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from deploy.cli.delimiter import shown_delimiter
from deploy.cli.output.tables import counted, print_line, print_table

_COLUMNS = ("column", "holds", "because of", "for example")
_FLAGS = {"ignore": ("--ignore-unknown",), "attribute": ("--add-unknown",)}
_FAULTS = ("lines", "column", "code", "reason", "value", "first in")


def print_inspection(
    console: Console, path: str, answer: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Print the columns, what lines would be rejected for, and how to import the file.

    ``given`` are the options that it was inspected with.
    """
    lines = counted(answer["lines"], "line")
    delimiter = answer["delimiter"] and f", between the cells stands {_shown(answer)}"
    print_line(console, f"{path}: {lines}, charset {answer['charset']}{delimiter or ''}")
    columns = [_column(column) for column in answer["columns"]]
    if columns:
        print_table(console, counted(len(columns), "column"), _COLUMNS, columns)
    for note in answer["notes"]:
        print_line(console, note)
    if refusals := answer["refusedFor"]:
        print_line(console, "The file would be refused:")
        for refusal in refusals:
            print_line(console, f"  line {refusal['line']}: {refusal['message']}")
        return
    rejected = answer["reject"]
    print_line(console, f"{lines} as {answer['mode']}: {rejected} would be rejected")
    if rejected:
        faults = [_fault(fault) for fault in answer["rejectedBy"]]
        print_table(console, "Rejected for", _FAULTS, faults)
    print_line(console, f"To import it: {shlex.join(_command(path, answer, given))}")


def _shown(answer: Mapping[str, Any]) -> str:
    return shown_delimiter(str(answer["delimiter"]))


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    maybe = f"unknown: is it {column['maybe']}?" if column["maybe"] else column["why"]
    return {
        "column": column["header"],
        "holds": column["field"] or "-",
        "because of": maybe,
        "for example": ", ".join(column["samples"]),
    }


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    first = ", ".join(map(str, fault["lines"]))
    return {**fault, "lines": fault["count"], "first in": first}


def _command(path: str, answer: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of the command that imports the file so."""
    options = answer["options"]
    yield from ("rollcall", "import", path)
    whys = {column["why"] for column in answer["columns"]}
    mapped = [each for each in given["columns"] if each != "auto"]
    found = {
        "--preset": [given["preset"]] if given["preset"] else [],
        "--mode": [answer["mode"]] if answer["mode"] != "insert" else [],
        "--charset": [options["charset"]] if options["charset"] not in {None, "utf-8"} else [],
        "--map": [*(["auto"] if "usual name" in whys else []), *mapped],
        "--phone-region": [options["phoneRegion"]] if options["phoneRegion"] else [],
        "--date-order": [options["dateOrder"]] if options["dateOrder"] != "MDY" else [],
        "--blank-cells": [given["blank_cells"]] if given["blank_cells"] else [],
        "--overwrite": [given["overwrite"]] if given["overwrite"] else [],
        "--on-invalid-optional": [given["invalid_optional"]] if given["invalid_optional"] else [],
    }
    for option, values in found.items():
        for value in values:
            yield from (option, value)
    yield from _FLAGS.get(options["unknownColumns"], ())
