"""Keeps the opt-outs of those who are no users: the table ``opt_out``, by hash of the key.

A key has a row there only while it has no user in the generation that its partition writes;
of a user the flags themselves say it.  Only asked where the partition's log has an opt-out
at all (:attr:`processor.decoding.accept_rule.PartitionState.has_opt_outs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from psycopg import sql

from processor.projection import staging
from schemas.read_model.upsert_sql import HELD_BACK, OPTED_OUT
from schemas.rules.fields import SUBSCRIPTIONS
from schemas.rules.modes import MODES
from schemas.rules.notes import kept_opt_outs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from processor.projection.job_rows import Round
    from processor.projection.staging import PreparedRows
    from schemas.events import RowErased
    from schemas.rules.notes import Note

pc: Any = pyarrow.compute

_HAS_ANY: LiteralString = """
SELECT EXISTS (SELECT FROM {schema}.opt_out WHERE partition = %(partition)s)
"""
_REMEMBER_ALL: LiteralString = """
INSERT INTO {schema}.opt_out (partition, key_hash, flags)
SELECT %(partition)s, sha256(convert_to(leaf.key, 'UTF8')), {opted_out}
FROM {leaf} AS leaf
WHERE {opted_out} > 0
"""
_REMEMBER: LiteralString = """
INSERT INTO {schema}.opt_out (partition, key_hash, flags)
SELECT %(partition)s, sha256(convert_to(leaf.key, 'UTF8')), {opted_out}
FROM staging JOIN {leaf} AS leaf USING (key)
WHERE staging.id = ANY(%(positions)s) AND {opted_out} > 0
"""
_SET: LiteralString = """
INSERT INTO {schema}.opt_out (partition, key_hash, flags)
VALUES (%(partition)s, %(key_hash)s, %(flags)s)
ON CONFLICT (partition, key_hash) DO UPDATE SET flags = EXCLUDED.flags
"""
_FORGET: LiteralString = """
DELETE FROM {schema}.opt_out WHERE partition = %(partition)s AND key_hash = %(key_hash)s
"""
_TAKE: LiteralString = """
WITH made AS (
    SELECT key, sha256(convert_to(key, 'UTF8')) AS key_hash
    FROM unnest(%(keys)s::text[]) AS key
)
DELETE FROM {schema}.opt_out USING made
WHERE opt_out.partition = %(partition)s AND opt_out.key_hash = made.key_hash
RETURNING made.key, opt_out.flags
"""
_SETTLE: LiteralString = """
WITH settled AS (
    DELETE FROM {schema}.opt_out
    USING staging JOIN {leaf} AS leaf USING (key)
    WHERE step = %(step)s AND round = %(round)s AND leaf.id = staging.id
      AND opt_out.partition = %(partition)s
      AND opt_out.key_hash = sha256(convert_to(staging.key, 'UTF8'))
    RETURNING staging.id, staging.key, opt_out.flags & ~{opted_out} AS flags
)
UPDATE {leaf} AS leaf SET {kept}
FROM settled
WHERE leaf.key = settled.key AND settled.flags > 0 AND %(keeps)s
RETURNING leaf.id, settled.flags
"""
_HELD_BACK: LiteralString = """
SELECT staging.id, {held_back} & ~%(fills)s
FROM staging JOIN {leaf} AS leaf USING (key)
WHERE step = %(step)s AND round = %(round)s AND staging.job_id IS NOT NULL
  AND mode = ANY(%(changing)s) AND leaf.id <> staging.id AND {held_back} & ~%(fills)s > 0
"""


class OptOuts:
    """The table as one transaction changes it; flags are bits as in ``UserRow.present``.

    ``partitions`` are those that have had an opt-out at all; of others nothing is asked.
    """

    def __init__(self, schema: str, cursor: psycopg.Cursor) -> None:
        self.partitions: set[int] = set()
        self._schema = schema
        self._cursor = cursor

    def remember_all(self, leaf: sql.Identifier, partition: int) -> None:
        """Remember the opt-outs of a leaf's users, all of whom are to go."""
        if partition in self.partitions:
            self._run(_REMEMBER_ALL, {"partition": partition}, leaf=leaf)

    def remember(self, leaf: sql.Identifier, partition: int, positions: list[int]) -> None:
        """Remember the opt-outs of the users whom the staged rows of these ids will delete."""
        if positions and partition in self.partitions:
            self._run(_REMEMBER, {"partition": partition, "positions": positions}, leaf=leaf)

    def set_erased(self, partition: int, row: RowErased) -> None:
        """Remember the opt-outs of a person whose data has been erased, where the row says them."""
        if row.key_hash is not None and partition in self.partitions:
            parameters = {
                "partition": partition, "key_hash": row.key_hash, "flags": row.opt_outs,
            }  # fmt: skip
            self._run(_SET if row.opt_outs else _FORGET, parameters)

    def new_users(
        self, partition: int, step: PreparedRows, leaf_input: memoryview
    ) -> tuple[memoryview, list[Note]]:
        """Return COPY input for the leaf in which those stay opted out who were.

        Their opt-outs are theirs now, and are forgotten here.
        """
        if partition not in self.partitions or not self._has_any(partition):
            return leaf_input, []
        keys = cast("list[str]", step.rows.column("key").to_pylist())
        taken = self._run(_TAKE, {"partition": partition, "keys": keys}).fetchall()
        opt_outs: dict[str, int] = dict(taken)
        if not opt_outs or not step.keeps_opt_outs:
            return leaf_input, []
        rows, kept = _keep_opted_out(step.rows, opt_outs)
        made = staging.leaf_input(rows, step.ids, step.attributes)
        return made, _notes(step, [(int(step.ids[at]), held) for at, held in kept])

    def keep(
        self, leaf: sql.Identifier, partition: int, step: PreparedRows, a_round: Round
    ) -> list[Note]:
        """Let those stay opted out to whose keys a round, written before, has given users.

        Returns:
            The notes of all rows that have not opted their users in.
        """
        if partition not in self.partitions:
            return []
        parameters: dict[str, Any] = {
            "partition": partition,
            "step": a_round.step,
            "round": a_round.number,
            "keeps": a_round.keeps_opt_outs,
        }
        kept: list[tuple[int, int]] = []
        if self._has_any(partition):
            kept += self._run(_SETTLE, parameters, leaf=leaf).fetchall()
        changing = [mode for mode in a_round.modes if MODES[mode].existing == "changed"]
        if a_round.keeps_opt_outs and changing and step.opts_in:
            parameters |= {"changing": changing, "fills": a_round.fills}
            kept += self._run(_HELD_BACK, parameters, leaf=leaf).fetchall()
        return _notes(step, sorted(kept))

    def _has_any(self, partition: int) -> bool:
        row = self._run(_HAS_ANY, {"partition": partition}).fetchone()
        return row is not None and row[0]

    def _run(
        self, statement: LiteralString, parameters: dict[str, Any], **parts: sql.Composable
    ) -> psycopg.Cursor:
        schema = sql.Identifier(self._schema)
        composed = sql.SQL(statement).format(schema=schema, **_PARTS, **parts)
        return self._cursor.execute(composed, parameters)


_PARTS: Final[Mapping[str, sql.Composable]] = {
    "opted_out": OPTED_OUT,
    "held_back": HELD_BACK,
    "kept": sql.SQL(", ").join(
        sql.SQL("{name} = leaf.{name} AND settled.flags & {bit} = 0").format(
            name=sql.Identifier(field.name), bit=sql.Literal(field.bit)
        )
        for field in SUBSCRIPTIONS
    ),
}


def _keep_opted_out(
    rows: pa.RecordBatch, opt_outs: Mapping[str, int]
) -> tuple[pa.RecordBatch, list[tuple[int, int]]]:
    """Opt new users out whose keys are in ``opt_outs``, by the first row with each key.

    Returns:
        The rows, and (index of the row, flags that it would have set to true) of each.
    """
    left = dict(opt_outs)
    is_in = pc.is_in(rows.column("key"), value_set=pa.array([*opt_outs]))
    keys = cast("list[str]", rows.column("key").filter(is_in).to_pylist())
    values = {
        field.name: np.array(pc.fill_null(rows.column(field.name), fill_value=True))
        for field in SUBSCRIPTIONS
    }
    kept: list[tuple[int, int]] = []
    for at, key in zip(np.flatnonzero(is_in).tolist(), keys, strict=True):
        held = 0
        for field in SUBSCRIPTIONS:
            if left.get(key, 0) & field.bit and values[field.name][at]:
                held |= field.bit
                values[field.name][at] = False
        left.pop(key, None)
        if held:
            kept.append((at, held))
    for name, column in values.items():
        index = rows.schema.get_field_index(name)
        rows = rows.set_column(index, cast("Any", rows.schema.field(index)), pa.array(column))
    return rows, kept


def _notes(step: PreparedRows, kept: list[tuple[int, int]]) -> list[Note]:
    """Return the notes of rows, (id, flags) each, by id."""
    rows = step.rows_by_id([row_id for row_id, _ in kept]) if kept else []
    return [
        note for row, (_, held) in zip(rows, kept, strict=True) for note in kept_opt_outs(row, held)
    ]
