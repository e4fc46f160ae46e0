"""Which rows differ, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync

KEYS: dict[str, tuple[pa.DataType, Sequence[object]]] = {
    "integers": (pa.int64(), [-2, 1, 9, 10, 100]),
    "decimals": (pa.decimal128(9, 1), [Decimal("-0.5"), Decimal(0), Decimal("9.5"), Decimal(10), None]),
    "numbers beyond 38 digits": (pa.decimal256(40, 0), [Decimal(n) for n in (0, 2, 10, 33, 100)]),
    "floats": (pa.float64(), [-2.5, 0.0, 9.5, 10.0, 1e300]),
    "texts": (pa.string(), ["", "10", "9", "a", "ä"]),
    "dates": (pa.date32(), [-1, 0, 9, 10, 100]),
}


@pytest.mark.parametrize("what", KEYS)
def test_rows_that_differ_are_named_in_the_order_of_their_keys(tmp_path: Path, what: str) -> None:
    type, values = KEYS[what]
    keys = pa.array(values, type)
    shuffled = [3, 0, 4, 1, 2]
    everything = pa.table({"id": keys, "v": [1] * 5}).take(shuffled)
    for number, other in enumerate((everything.slice(5), everything.set_column(1, "v", [[2] * 5]))):
        for name, table in (("a", everything), (f"b{number}", other)):
            pq.write_table(table, tmp_path / f"{name}.parquet")
    for a, b, kind in (("a", "b0", "missing"), ("b0", "a", "extra"), ("a", "b1", "different")):
        one, two = (str(tmp_path / f"{name}.parquet") for name in (a, b))
        [check] = arrowsync.verify(one, two, key="id").tables
        assert [each.key["id"] for each in check.examples] == [str(key.as_py()) for key in keys]
        assert {each.kind for each in check.examples} == {kind}
