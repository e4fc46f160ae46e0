"""Lists, structs and maps as other types of their kind."""

from __future__ import annotations

import pyarrow as pa

from arrowsync.types.nested import rebuilt
from arrowsync.types.spelling import exactly


def test_a_field_that_takes_no_null_gets_none_from_its_structs() -> None:
    fields = [pa.field("a", pa.large_string(), nullable=False), pa.field("b", pa.large_string())]
    values = [pa.array(["x", "y", "z"], pa.large_string())] * 2
    array = pa.StructArray.from_arrays(values, fields=fields, mask=pa.array([False, False, True]))[1:]
    plain = pa.struct([field.with_type(pa.string()) for field in fields])
    made = rebuilt(array, plain, exactly)
    assert made.type == plain
    assert made.field("a").null_count == 0
    assert made.to_pylist() == [{"a": "y", "b": "y"}, None]
