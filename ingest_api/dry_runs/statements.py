"""The SQL that compares a file's lines with the audience, in sets.

``compared_line`` holds the valid lines, ``compared_outcome`` the outcome that a job
would give each.  Most keys come once in a file, and one join with
the audience tells all of them.  Where a key comes again, lines that may change a user do so
in turn: those are traced, each line from the state that the one before
it left.  Which values a row sets is said by :mod:`schemas.read_model.upsert_sql`, for the
projection too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from schemas.read_model.tables import STAGED_USER, USER_COLUMNS
from schemas.read_model.upsert_sql import INSERTED, changed, differences
from schemas.rules.fields import FIELD_BY_NAME, FIELDS, UNKNOWN_USER_INCOMPLETE
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.events import JobMode

SAMPLES: Final = 10
"""Of each outcome, the first by line."""
LINE_COLUMNS: Final = (
    "record_number", "line", "key", *USER_COLUMNS, "present", "is_complete", "raw",
    "dropped_cells",
)  # fmt: skip

MAKE_TABLES: Final[LiteralString] = """
CREATE TEMPORARY TABLE compared_line (
    record_number integer NOT NULL,
    line integer NOT NULL,
    <user>
    raw text,
    dropped_cells text
) ON COMMIT DROP;
CREATE TEMPORARY TABLE compared_outcome (
    record_number integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    id bigint,
    first_record integer,
    outcome text NOT NULL
) ON COMMIT DROP
""".replace("<user>", STAGED_USER)
FIND_REPEATED: Final[LiteralString] = """
ANALYZE compared_line;
CREATE TEMPORARY TABLE repeated_key ON COMMIT DROP AS
SELECT key, min(record_number) AS first_record
FROM compared_line
GROUP BY key
HAVING count(*) > 1;
ANALYZE repeated_key
"""
COUNT_DROPPED: Final[LiteralString] = """
SELECT fault ->> 'code' AS code, fault ->> 'column' AS "column", count(*) AS count
FROM compared_line JOIN compared_outcome USING (record_number),
     json_array_elements(dropped_cells::json) AS fault
WHERE dropped_cells IS NOT NULL AND outcome IN ('insert', 'update', 'unchanged')
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
"""
_COUNT_LACKING: Final[LiteralString] = """
SELECT CASE {fields} ELSE {state} END AS "column", count(*) AS count
FROM compared_line JOIN compared_outcome USING (record_number)
WHERE outcome = {code}
GROUP BY 1
"""
HAS_REPEATED: Final[LiteralString] = "SELECT EXISTS (SELECT FROM repeated_key) AS is_so"
_JOIN: Final[LiteralString] = """
INSERT INTO compared_outcome (record_number, key, id, first_record, outcome)
SELECT staging.record_number, staging.key, leaf.id, repeated.first_record, {outcome}
FROM compared_line AS staging
LEFT JOIN repeated_key AS repeated ON repeated.key = staging.key
LEFT JOIN (SELECT true AS is_there, * FROM public.users) AS leaf ON leaf.key = staging.key
WHERE {is_joined}
"""
_TRACE: Final[LiteralString] = """
CREATE TEMPORARY TABLE traced_line ON COMMIT DROP AS
SELECT *, row_number() OVER (PARTITION BY key ORDER BY record_number) AS nth
FROM compared_line
WHERE key IN (SELECT key FROM {keys}) AND record_number <= {last_record};
CREATE UNIQUE INDEX ON traced_line (key, nth);
ANALYZE traced_line
"""
# LIMIT keeps the planner from another join than by the index, a lookup a line.
_STATES: Final[LiteralString] = """
WITH RECURSIVE traced AS (
    (SELECT chosen.key, 0::bigint AS nth, NULL::integer AS record_number, NULL::text AS outcome,
           leaf.id, leaf.id IS NOT NULL AS is_there, {present_values}
    FROM (SELECT DISTINCT key FROM traced_line) AS chosen
    LEFT JOIN public.users AS leaf ON leaf.key = chosen.key
    ORDER BY chosen.key)
  UNION ALL
    SELECT staging.key, staging.nth, staging.record_number, {outcome},
           leaf.id, leaf.is_there OR {becomes_there}, {next_values}
    FROM traced AS leaf,
    LATERAL (
        SELECT * FROM traced_line WHERE key = leaf.key AND nth = leaf.nth + 1 LIMIT 1
    ) AS staging
)
"""
_TRACED_OUTCOMES: Final[LiteralString] = """
INSERT INTO compared_outcome (record_number, key, id, outcome)
{states}
SELECT record_number, key, id, outcome FROM traced WHERE nth > 0
"""
SELECT_OUTCOMES: Final[LiteralString] = """
SELECT counted.outcome, counted.lines, sample.record_number, sample.key, sample.id,
       sample.first_record
FROM (SELECT outcome, count(*) AS lines FROM compared_outcome GROUP BY outcome) AS counted,
LATERAL (
    SELECT record_number, key, id, first_record
    FROM compared_outcome
    WHERE outcome = counted.outcome
    ORDER BY record_number
    LIMIT %(samples)s
) AS sample
ORDER BY sample.record_number
"""
_SAMPLE_KEYS: Final[LiteralString] = """
SET LOCAL enable_nestloop = on;
DROP TABLE IF EXISTS traced_line;
CREATE TEMPORARY TABLE sampled_key ON COMMIT DROP AS SELECT unnest({keys}::text[]) AS key;
ANALYZE sampled_key
"""
_SELECT_SAMPLES: Final[LiteralString] = """
{states}
SELECT staging.record_number, staging.line, staging.raw, {columns}
FROM traced_line AS staging
JOIN traced AS after ON after.record_number = staging.record_number
JOIN traced AS before ON before.key = staging.key AND before.nth = staging.nth - 1
WHERE staging.record_number = ANY(%(records)s)
ORDER BY staging.record_number
"""
COUNT_USERS: Final[LiteralString] = "SELECT count(*) AS users FROM public.users"
_SELECT_DELETED: Final[LiteralString] = """
SELECT id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes,
       created_at, modified_at
FROM public.users AS leaf
WHERE {is_named} (SELECT FROM compared_line AS staging WHERE staging.key = leaf.key)
ORDER BY id
LIMIT %(samples)s
"""

# The hashes only of so many users; user_total is no count.
SELECT_HASHES: Final[LiteralString] = """
SELECT total AS users,
       CASE WHEN total <= %(most)s THEN
           (SELECT array_send(array_agg(hashtextextended(key, 0))) FROM public.users)
       END AS hashes
FROM public.user_total
"""

OUTCOMES: Final[dict[JobMode, LiteralString]] = {
    "insert": """
        CASE WHEN leaf.is_there THEN 'KEY_EXISTS'
             WHEN repeated.first_record < staging.record_number THEN 'DUPLICATE_IN_FILE'
             ELSE 'insert' END""",
    "upsert": """
        CASE WHEN NOT COALESCE(leaf.is_there, false)
             THEN CASE WHEN staging.is_complete THEN 'insert' ELSE 'REQUIRED' END
             WHEN {differences} THEN 'update' ELSE 'unchanged' END""",
    "delsert": """
        CASE WHEN repeated.first_record < staging.record_number THEN 'DUPLICATE_IN_FILE'
             WHEN leaf.is_there IS NULL THEN 'insert'
             WHEN {differences} THEN 'update' ELSE 'unchanged' END""",
    "update": """
        CASE WHEN NOT COALESCE(leaf.is_there, false) THEN 'NO_SUCH_USER'
             WHEN {differences} THEN 'update' ELSE 'unchanged' END""",
    "ignore": """
        CASE WHEN leaf.is_there OR repeated.first_record < staging.record_number
             THEN 'unchanged' ELSE 'insert' END""",
    "delete": """
        CASE WHEN leaf.is_there IS NULL OR repeated.first_record < staging.record_number
             THEN 'NO_SUCH_USER' ELSE 'delete' END""",
}
"""The outcome of a line, by SQL over ``leaf``, ``staging`` and ``repeated``."""


def count_lacking() -> sql.Composed:
    """Return the SELECT of how many lines lack what a new user needs, by the first such field."""
    lacking = (
        sql.SQL("WHEN {} IS NULL THEN {}").format(sql.Identifier(field.name), field.header)
        for field in FIELDS
        if field.is_required
    )
    return sql.SQL(_COUNT_LACKING).format(
        fields=sql.SQL(" ").join(lacking),
        state=FIELD_BY_NAME["state"].header,
        code=UNKNOWN_USER_INCOMPLETE.code,
    )


def traces(mode: JobMode) -> bool:
    """Return whether lines of one key may change one user in turn, and so are traced."""
    return MODES[mode].existing == "changed"


def join_outcomes(mode: JobMode, fills: int) -> sql.Composed:
    """Return the INSERT of each outcome that one join with the audience decides.

    ``fills`` are the fields that lines only fill.
    """
    is_joined: LiteralString = "repeated.key IS NULL" if traces(mode) else "true"
    return sql.SQL(_JOIN).format(outcome=_outcome(mode, fills), is_joined=sql.SQL(is_joined))


def select_deleted(mode: JobMode) -> sql.Composed:
    """Return the SELECT of the first users that go: whom the file names, or does not name."""
    names_them = MODES[mode].existing == "deleted"
    return sql.SQL(_SELECT_DELETED).format(
        is_named=sql.SQL("EXISTS" if names_them else "NOT EXISTS")
    )


def trace_repeated() -> sql.Composed:
    """Return the statements that prepare the lines with repeated keys for tracing."""
    return _trace("repeated_key", 2**31 - 1)


def traced_outcomes(mode: JobMode, fills: int) -> sql.Composed:
    """Return the INSERT of the outcomes of lines with repeated keys."""
    return sql.SQL(_TRACED_OUTCOMES).format(states=_states(mode, fills))


def trace_samples(keys: list[str], last_record: int) -> sql.Composed:
    """Return the statements that prepare the lines of these keys, up to the last sample."""
    chosen = sql.SQL(_SAMPLE_KEYS).format(keys=sql.Literal(keys))
    return sql.SQL(";").join([chosen, _trace("sampled_key", last_record)])


def select_samples(mode: JobMode, fills: int) -> sql.Composed:
    """Return the SELECT of the lines at ``records``, with their users before and after them."""
    columns = [
        sql.SQL("{}.{} AS {}").format(*map(sql.Identifier, (relation, name, prefix + name)))
        for relation, prefix in (("staging", ""), ("before", "before_"), ("after", "after_"))
        for name in USER_COLUMNS
    ]
    return sql.SQL(_SELECT_SAMPLES).format(
        states=_states(mode, fills), columns=sql.SQL(", ").join(columns)
    )


def _trace(keys: LiteralString, last_record: int) -> sql.Composed:
    return sql.SQL(_TRACE).format(keys=sql.Identifier(keys), last_record=sql.Literal(last_record))


def _states(mode: JobMode, fills: int) -> sql.Composed:
    """Return the query of each traced user, as it is and after each line.

    Where a key's lines do not change one user in turn, its first line alone is followed.
    """
    values = _if_there(changed(fills), INSERTED) if traces(mode) else INSERTED
    outcome = _outcome(mode, fills) if traces(mode) else sql.SQL("NULL::text")
    becomes_there = sql.SQL("staging.is_complete" if MODES[mode].adds else "false")
    present = (sql.Identifier("leaf", name) for name in USER_COLUMNS)
    return sql.SQL(_STATES).format(
        present_values=sql.SQL(", ").join(present),
        outcome=outcome,
        becomes_there=becomes_there,
        next_values=sql.SQL(", ").join(values[name] for name in USER_COLUMNS),
    )


def _outcome(mode: JobMode, fills: int) -> sql.Composed:
    values = changed(fills) if traces(mode) else INSERTED
    return sql.SQL(OUTCOMES[mode]).format(differences=differences(values))


def _if_there(
    changed: Mapping[str, sql.Composable], inserted: Mapping[str, sql.Composable]
) -> dict[str, sql.Composable]:
    text: LiteralString = "CASE WHEN leaf.is_there THEN {} ELSE {} END"
    return {name: sql.SQL(text).format(changed[name], inserted[name]) for name in changed}
