"""Describes a comparison of two projections, as the registry keeps it for readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.builder.table_comparison import Fingerprint, RowDifference, TableDifference


def describe_comparison(
    live: Fingerprint, built: Fingerprint, differences: Iterable[TableDifference]
) -> dict[str, Any]:
    """Return every table with its rows, and the number and first of those that differ.

    ``live`` is the side that readers see, ``built`` what the log says.
    """
    by_table = {difference.table: difference for difference in differences}
    return {
        "isEqual": not by_table,
        "offsets": list(live.next_offsets),
        "tables": [
            {
                "table": table,
                "rowsLive": live.rows(table),
                "rowsBuilt": built.rows(table),
                "isEqual": table not in by_table,
                **_differing(by_table.get(table)),
            }
            for table in live.tables
        ],
    }


def _differing(difference: TableDifference | None) -> dict[str, Any]:
    if difference is None:
        return {"differingCount": 0, "differing": []}
    return {
        "differingCount": difference.differing,
        "differing": [_row(row) for row in difference.keys],
    }


def _row(row: RowDifference) -> dict[str, str]:
    where = {
        "one": "only in the live tables",
        "other": "missing in the live tables",
        "both": f"differs in {', '.join(row.columns)}",
    }
    return {"key": " ".join(map(str, row.key)), "difference": where[row.where]}
