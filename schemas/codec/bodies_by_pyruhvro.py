"""Encodes and decodes the Avro bodies of batches by pyruhvro; see :mod:`schemas.codec.columnar`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyruhvro

from schemas.codec import framing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from schemas.events import Event


def encoded(schema: framing.Schema, batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return the body of each row; the batch has the schema's fields, in its order."""
    return pyruhvro.serialize_record_batch(batch, schema.json, 1)[0]


def decoded(event_type: type[Event], bodies: Sequence[bytes]) -> pa.RecordBatch:
    """Return the row of each body.

    Raises:
        ValueError: one is malformed.
    """
    return pyruhvro.deserialize_array(bodies, framing.text_of(event_type))
