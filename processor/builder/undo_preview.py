"""Describes what an undo or redo would change: one instance's users beside another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from psycopg import sql
from psycopg.rows import dict_row

from schemas.log.job_states import COUNTS, OUTCOMES
from schemas.log.positions import offset_sql, partition_sql
from schemas.read_model.tables import USER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

SAMPLES: Final = 20
"""So many of each kind of change."""
_SETTINGS: LiteralString = """
SELECT set_config('work_mem', '256MB', true), set_config('enable_hashjoin', 'on', true),
       set_config('enable_seqscan', 'on', true)
"""
_TOUCHED: LiteralString = """
CREATE TEMPORARY TABLE touched (key text COLLATE "C" NOT NULL) ON COMMIT DROP
"""
# A user's position in the log says whether what set it last came after the job's own records.
# Kept are users of the job's keys who stay as they are because of such a record, in the
# live tables or in the new ones: where the later one said the same, only there.
_CHANGES: LiteralString = """
CREATE TEMPORARY TABLE change ON COMMIT DROP AS
SELECT key,
       CASE WHEN {live_offset} > live_part.sealed_offset THEN live.job_id
            ELSE new.job_id END AS changed_by,
       CASE WHEN live.id IS NULL THEN 'restored'
            WHEN new.id IS NULL THEN 'removed'
            WHEN ({live_fields}) IS DISTINCT FROM ({new_fields}) THEN 'changedBack'
            ELSE 'kept' END AS kind,
       CASE WHEN live.id IS NOT NULL THEN to_jsonb(ROW({live_fields})) END AS before,
       CASE WHEN new.id IS NOT NULL THEN to_jsonb(ROW({new_fields})) END AS after
FROM {live}.users AS live
FULL JOIN {new}.users AS new USING (key)
LEFT JOIN {live}.job_partition AS live_part
       ON live_part.job_id = %(job_id)s AND live_part.partition = {live_partition}
LEFT JOIN {live}.job_partition AS new_part
       ON new_part.job_id = %(job_id)s AND new_part.partition = {new_partition}
WHERE live.id IS NULL OR new.id IS NULL
   OR ({live_fields}) IS DISTINCT FROM ({new_fields})
   OR ({live_offset} > live_part.sealed_offset OR {new_offset} > new_part.sealed_offset)
      AND key IN (SELECT key FROM touched)
"""
_POSITION: LiteralString = "COALESCE({side}.modified_position, {side}.id)"
_PLACES: Final = {
    "partition": sql.SQL(partition_sql(_POSITION)),
    "offset": sql.SQL(offset_sql(_POSITION)),
}
"""The place in the log of what set a user last: positions are numbered as ids are."""
_COUNTS: LiteralString = "SELECT kind, count(*)::bigint AS users FROM change GROUP BY kind"
_SAMPLES: LiteralString = """
SELECT key, changed_by, before, after FROM change WHERE kind = %(kind)s ORDER BY key
LIMIT %(samples)s
"""
_OTHER_JOBS: LiteralString = """
SELECT job_id, live.inserted, live.updated, live.unchanged, live.rejected, live.deleted,
       new.inserted AS new_inserted, new.updated AS new_updated, new.unchanged AS new_unchanged,
       new.rejected AS new_rejected, new.deleted AS new_deleted
FROM {live}.jobs AS live JOIN {new}.jobs AS new USING (job_id)
WHERE job_id <> %(job_id)s
  AND (live.inserted, live.updated, live.unchanged, live.rejected, live.deleted)
      IS DISTINCT FROM (new.inserted, new.updated, new.unchanged, new.rejected, new.deleted)
ORDER BY live.accepted_at, job_id
LIMIT %(samples)s
"""
_TOTAL: LiteralString = "SELECT total FROM {schema}.user_total"
_KINDS: Final = ("restored", "removed", "changedBack", "kept")


def note_touched_keys(cursor: psycopg.Cursor, keys: Iterable[list[str]]) -> None:
    """Keep the keys that the job's rows have, until the transaction ends."""
    cursor.execute(_TOUCHED)
    with cursor.copy("COPY touched (key) FROM STDIN") as copy:
        for some in keys:
            for key in some:
                copy.write_row((key,))


def describe_change(cursor: psycopg.Cursor, live: str, new: str, job_id: int) -> dict[str, Any]:
    """Count what readers would see of other users, with samples.

    ``live`` and ``new`` are schemas at equal offsets; :func:`note_touched_keys` came before.
    """
    cursor.execute(_SETTINGS)
    names = {"live": sql.Identifier(live), "new": sql.Identifier(new)}
    fields = {
        f"{side}_fields": sql.SQL(", ").join(
            sql.Identifier(side, column) for column in USER_COLUMNS
        )
        for side in names
    }
    places = {
        f"{side}_{name}": place.format(side=sql.Identifier(side))
        for side in names
        for name, place in _PLACES.items()
    }
    cursor.execute(sql.SQL(_CHANGES).format(**names, **fields, **places), {"job_id": job_id})
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        counts = {row["kind"]: row["users"] for row in rows.execute(_COUNTS)}
        samples = {kind: _samples(rows, kind) for kind in _KINDS}
        parameters = {"job_id": job_id, "samples": SAMPLES}
        jobs = rows.execute(sql.SQL(_OTHER_JOBS).format(**names), parameters).fetchall()
    return {
        "jobId": str(job_id),
        **{kind: counts.get(kind, 0) for kind in _KINDS},
        "usersBefore": _total(cursor, live),
        "usersAfter": _total(cursor, new),
        "samples": samples,
        "laterJobs": [_job(row) for row in jobs],
    }


def _samples(rows: psycopg.Cursor[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    found = rows.execute(_SAMPLES, {"kind": kind, "samples": SAMPLES}).fetchall()
    if kind == "kept":
        return [
            {"key": row["key"], "changedBy": row["changed_by"] and str(row["changed_by"])}
            for row in found
        ]
    return [_sample(row) for row in found]


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    before, after = _fields(row["before"]), _fields(row["after"])
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    return {
        "key": row["key"],
        "before": {name: before[name] for name in changed if name in before} or None,
        "after": {name: after[name] for name in changed if name in after} or None,
    }


def _fields(composite: dict[str, Any] | None) -> dict[str, Any]:
    """Return the columns that have a value; Postgres names those of a ROW f1, f2, and so on."""
    if composite is None:
        return {}
    values = zip(USER_COLUMNS, composite.values(), strict=True)
    return {name: value for name, value in values if value not in (None, {})}


def _job(row: dict[str, Any]) -> dict[str, Any]:
    names = COUNTS if row["deleted"] or row["new_deleted"] else OUTCOMES
    return {
        "id": str(row["job_id"]),
        "before": {name: row[name] for name in names},
        "after": {name: row[f"new_{name}"] for name in names},
    }


def _total(cursor: psycopg.Cursor, schema: str) -> int:
    row = cursor.execute(sql.SQL(_TOTAL).format(schema=sql.Identifier(schema))).fetchone()
    return cast("int", row[0]) if row else 0
