"""Encodes and decodes the Avro bodies of batches by fastavro; see :mod:`schemas.codec.columnar`."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any, cast

import fastavro
import pyarrow as pa

from schemas.codec import framing
from schemas.codec.arrow_schema import arrow_schema
from schemas.codec.body_check import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.events import Event


def encoded(schema: framing.Schema, batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return the body of each row; the batch has the schema's fields, in its order."""
    parsed = _parsed(schema)
    arrow: Any = batch
    columns = [_plain_values(column) for column in arrow.columns]
    bodies: list[bytes] = []
    for row in zip(*columns, strict=True):
        out = io.BytesIO()
        record = dict(zip(batch.schema.names, row, strict=True))
        fastavro.schemaless_writer(out, parsed, record, strict=True)
        bodies.append(out.getvalue())
    return pa.array(bodies, pa.binary())


def decoded(event_type: type[Event], bodies: Sequence[bytes]) -> pa.RecordBatch:
    """Return the row of each body.

    Raises:
        ValueError: one is malformed.
    """
    schema = framing.current_schema(event_type)
    parsed, end_of = _parsed(schema), measure(schema.definition)
    records: list[dict[str, Any]] = []
    for body in bodies:
        end_of(body, 0)  # fastavro decodes some malformed bodies, and others crash it
        record = fastavro.schemaless_reader(io.BytesIO(body), parsed, None)
        records.append(cast("dict[str, Any]", record))
    arrow: Any = arrow_schema(event_type)
    columns: list[Any] = [
        pa.array([_pairs(record[field.name]) for record in records], field.type) for field in arrow
    ]
    return pa.RecordBatch.from_arrays(columns, schema=arrow)


@functools.cache
def _parsed(schema: framing.Schema) -> Any:
    """Return the schema with days and times as numbers: Arrow takes years that Python can't."""
    definition = framing.without(schema.definition, "logicalType")
    return fastavro.parse_schema(definition, named_schemas={})


def _plain_values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64()).to_pylist()
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32()).to_pylist()
    if pa.types.is_map(column.type):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    return column.to_pylist()


def _pairs(value: Any) -> Any:
    return list(cast("dict[str, Any]", value).items()) if isinstance(value, dict) else value
