"""Encodes Arrow batches as framed Avro values, and decodes them.

pyruhvro does it, in Rust.  Where ``ROLLCALL_AVRO`` is ``fastavro``, fastavro does it, one value
at a time: with the same bytes and values, about forty times slower, for systems where pyruhvro
is not available or not trusted; pyruhvro is not even imported then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute

from schemas import events
from schemas.codec import framing
from schemas.codec.arrow_schema import arrow_schema
from schemas.codec.body_lengths import body_bytes

if os.environ.get("ROLLCALL_AVRO") == "fastavro":
    from schemas.codec import bodies_by_fastavro as bodies
else:
    from schemas.codec import bodies_by_pyruhvro as bodies

if TYPE_CHECKING:
    from collections.abc import Sequence

_pc: Any = pyarrow.compute
# A constant: pyarrow looks for dateutil whenever it makes a scalar of a value without a type.
_EMPTY: Final = pa.scalar(b"", pa.binary())
ROW_SCHEMA: Final = arrow_schema(events.UserRow)
REJECTION_SCHEMA: Final = arrow_schema(events.RowRejected)


def encode_batch(frame: bytes, batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return each row of the batch as a value with this frame, in its schema, in order.

    The batch has the columns of :data:`ROW_SCHEMA` or :data:`REJECTION_SCHEMA`, of those types;
    what an earlier schema lacks is left out.

    Raises:
        KeyError: the frame is unknown, or its schema has a field that the batch has not.
    """
    schema = framing.schema_by(frame)
    if schema is None:
        raise KeyError(frame)
    encoded = bodies.encoded(schema, batch.select(schema.names))
    return _pc.binary_join_element_wise(pa.scalar(frame, pa.binary()), encoded, _EMPTY)


def decode_batch(event_type: type[events.Event], values: Sequence[bytes]) -> pa.RecordBatch:
    """Return values of this type as one Arrow batch, in either framing.

    Their schemas are ours, or earlier ones to which ours has only added nullable fields.

    Raises:
        ValueError: a value is malformed, has bytes after its end, or is longer than our encoder
            would write it; which one is not said.
    """
    frame = framing.frame_of(event_type)
    unframed = [value.removeprefix(frame) for value in values]
    if sum(map(len, values)) - sum(map(len, unframed)) < len(values) * len(frame):
        unframed = list(map(framing.body_of, values))
    return decode_bodies(event_type, unframed)


def decode_bodies(event_type: type[events.Event], unframed: Sequence[bytes]) -> pa.RecordBatch:
    """Return bodies in our schema, of which the frames have been taken off, as one Arrow batch.

    Raises:
        ValueError: as :func:`decode_batch` does.
    """
    batch = bodies.decoded(event_type, unframed)
    batch.validate(full=True)  # pyruhvro 0.4 takes texts that are not UTF-8
    # It takes longer forms of a value, and bytes after its end: a body as we write it is the
    # shortest that says the same, so where all together are as long, each is written so.
    if body_bytes(batch, framing.definition_of(event_type)) != sum(map(len, unframed)):
        raise ValueError("a value is longer than what it says")
    return batch
