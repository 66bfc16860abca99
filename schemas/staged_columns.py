"""Rows as columns of a staging table: COPY input, made alike by the projection and by a dry run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from schemas.user_rules import USA_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

pc: Any = pyarrow.compute
_WRITE_OPTIONS: Final = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")


def copy_input(columns: Mapping[str, Any]) -> bytes:
    """The columns, by their names, as input of ``COPY … (FORMAT csv)``."""
    out = io.BytesIO()
    table = pa.table(list(columns.values()), names=list(columns))
    pyarrow.csv.write_csv(table, out, _WRITE_OPTIONS)
    return out.getvalue()


def is_complete(rows: pa.RecordBatch) -> pa.BooleanArray:
    """Whether each row may add a user: all required fields, a state where it is USA."""
    complete = pc.is_valid(rows.column("first_name"))
    for name in ("last_name", "email", "country"):
        complete = pc.and_(complete, pc.is_valid(rows.column(name)))
    country = pc.fill_null(rows.column("country"), "")
    needs_state = pc.is_null(rows.column("state"))
    if pc.any(needs_state).as_py():
        usa = pc.is_in(
            pc.utf8_lower(pc.utf8_trim_whitespace(country)), value_set=pa.array(sorted(USA_NAMES))
        )
        complete = pc.and_not(complete, pc.and_(needs_state, usa))
    return complete
