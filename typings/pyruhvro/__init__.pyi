# The functions that `schemas.codec` uses.

from collections.abc import Sequence

import pyarrow as pa

def avro_to_arrow_schema(schema: str) -> pa.Schema: ...
def serialize_record_batch(
    data: pa.RecordBatch, schema: str, num_chunks: int
) -> list[pa.BinaryArray]: ...
def deserialize_array(list: Sequence[bytes] | pa.BinaryArray, schema: str) -> pa.RecordBatch: ...  # noqa: A002 - the library's name
