"""Batches are the same by pyruhvro and by fastavro, and one setting leaves pyruhvro out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import fastavro
import pyruhvro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events
from schemas.codec import bodies_by_fastavro, bodies_by_pyruhvro, columnar, framing
from schemas.codec.body_lengths import body_bytes
from tests.support.checkout import CHECKOUT
from tests.support.data.schema_versions import VERSIONS

if TYPE_CHECKING:
    import pyarrow as pa

_int64 = st.integers(-(2**63), 2**63 - 1)
_int32 = st.integers(-(2**31), 2**31 - 1)
_text = st.text(max_size=8)
_rows: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "job_id": st.none() | _int64,
        "mode": st.sampled_from(["insert", "upsert", "delsert", "delete"]),
        "key": _text,
        "last_active_date": st.none() | _int32,
        "email_subscription": st.none() | st.booleans(),
        # One entry: the order in which Arrow writes several is not fastavro's.
        "attributes": st.dictionaries(_text, st.none() | _text, max_size=1),
        "present": _int32,
        "occurred_at": _int64,
        "source": st.none() | _text,
    }
)
"""Also days and times that Python's calendar does not have."""
_EVERY_MODULE = """
import importlib, pkgutil, sys
import ingest_api, processor, schemas
for package in (ingest_api, processor, schemas):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name) if "pyruhvro" not in module.name else None
from schemas.codec import columnar
print(columnar.bodies.__name__, "pyruhvro" in sys.modules)
"""


def _bodies(rows: list[dict[str, Any]]) -> list[bytes]:
    definition = framing.without(framing.definition_of(events.UserRow), "logicalType")
    schema = fastavro.parse_schema(definition, named_schemas={})
    bodies: list[bytes] = []
    for row in rows:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, row)
        bodies.append(out.getvalue())
    return bodies


@given(st.lists(_rows, min_size=1, max_size=4))
def test_both_codecs_give_the_same_batch_and_bytes(rows: list[dict[str, Any]]) -> None:
    """Whatever day and time there is in it."""
    bodies = _bodies(rows)
    batch = bodies_by_pyruhvro.decoded(events.UserRow, bodies)
    assert bodies_by_fastavro.decoded(events.UserRow, bodies).equals(batch)
    schema = framing.current_schema(events.UserRow)
    assert bodies_by_fastavro.encoded(schema, batch).to_pylist() == bodies
    assert bodies_by_pyruhvro.encoded(schema, batch).to_pylist() == bodies


_long_text = st.text(max_size=90)
_long_values: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "key": _long_text,
        "raw": st.none() | st.just("x" * 8192) | _long_text,
        "attributes": st.dictionaries(_text, st.none() | _long_text, max_size=70),
    }
)


@given(st.lists(st.tuples(_rows, _long_values), max_size=4))
def test_the_length_of_bodies_is_known_without_encoding_them(
    rows: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Of numbers, texts and maps of any length."""
    bodies = _bodies([row | long_values for row, long_values in rows])
    batch = bodies_by_pyruhvro.decoded(events.UserRow, bodies)
    definition = framing.definition_of(events.UserRow)
    assert body_bytes(batch, definition) == sum(map(len, bodies))
    assert body_bytes(batch.slice(1), definition) == sum(map(len, bodies[1:]))


@given(st.lists(_rows, min_size=1, max_size=4))
def test_earlier_rows_are_read_as_they_are(rows: list[dict[str, Any]]) -> None:
    """As a batch, beside those of today: our schema has only added what may be null to theirs."""
    earlier = framing.Schema(events.UserRow, json.dumps(VERSIONS["UserRow"][-2]))
    ours = _bodies(rows)
    theirs = [body[: -len(earlier.padding or b"")] for body in ours]
    frame = framing.frame_of(events.UserRow)
    values = [*(earlier.frame + body for body in theirs), *(frame + body for body in ours)]
    batch = columnar.decode_batch(events.UserRow, values)
    assert batch.slice(0, len(rows)).equals(batch.slice(len(rows)))
    assert batch.slice(len(rows)).equals(bodies_by_fastavro.decoded(events.UserRow, ours))
    assert framing.type_of(values[0]) == (events.UserRow, True)


@pytest.mark.parametrize(
    ("event_type", "columns"),
    [
        (events.UserRow, columnar.ROW_SCHEMA),
        (events.RowRejected, columnar.REJECTION_SCHEMA),
    ],
)
def test_the_columns_are_those_of_pyruhvro(
    event_type: type[events.Event], columns: pa.Schema
) -> None:
    """Names, types, and which may be null."""
    assert columns == pyruhvro.avro_to_arrow_schema(framing.text_of(event_type))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("fastavro", ["bodies_by_fastavro", "False"]), ("pyruhvro", ["bodies_by_pyruhvro", "True"])],
)
def test_pyruhvro_is_not_imported_where_fastavro_is_set(setting: str, expected: list[str]) -> None:
    """By no module of a service."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _EVERY_MODULE],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "ROLLCALL_AVRO": setting},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.removeprefix("schemas.codec.").split() == expected
