"""What each conversion between forms and storages costs a value, as `conform` applies it."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from arrowsync.core.plan import ColumnPlan, Convert, Form, Route, Storage
from arrowsync.core.table import Column, NativeType
from arrowsync.engine.batches import conform
from arrowsync.types import conversions, temporal

ROWS = 65_536
DICE = np.random.default_rng(20260823)
NUMBERS = pa.array(DICE.integers(0, 10_000_000, ROWS))
DECIMALS = conversions.rescale(NUMBERS, precision=15, scale=2)
DOUBLES = pc.divide(NUMBERS.cast(pa.float64()), 100.0)
DATES = pa.array(DICE.integers(8_000, 10_000, ROWS), pa.int32()).cast(pa.date32())
STAMPS = pa.array(DICE.integers(0, 10**15, ROWS)).cast(pa.timestamp("us"))
UUIDS = pa.array([DICE.bytes(16) for _ in range(ROWS)], pa.binary(16))
TEXTS = NUMBERS.cast(pa.string())
BITS = pa.array(DICE.integers(0, 2, ROWS))
AS_DECIMAL = {"precision": 15, "scale": 2}

CONVERSIONS: dict[str, tuple[pa.Array, Convert]] = {
    "int64_to_int32": (NUMBERS, partial(conversions.to_integer, type=pa.int32())),
    "int64_to_bool": (BITS, conversions.to_bool),
    "text_to_decimal": (DECIMALS.cast(pa.string()), partial(conversions.text_to_decimal, **AS_DECIMAL)),
    "decimal_to_text": (DECIMALS, conversions.decimal_to_text),
    "double_to_decimal": (DOUBLES, partial(conversions.double_to_decimal, **AS_DECIMAL)),
    "double_to_text": (DOUBLES, conversions.double_to_text),
    "text_to_double": (DOUBLES.cast(pa.string()), conversions.text_to_double),
    "date_to_text": (DATES.view(pa.int32()), temporal.days_to_text),
    "text_to_date": (DATES.cast(pa.string()), temporal.text_to_days),
    "timestamp_to_text": (temporal.timestamp_to_raw(STAMPS), temporal.raw_to_text),
    "text_to_timestamp": (STAMPS.cast(pa.string()), temporal.text_to_raw),
    "uuid_to_text": (UUIDS, conversions.uuid_to_text),
    "text_to_uuid": (conversions.uuid_to_text(UUIDS), conversions.text_to_uuid),
    "text_is_utf8": (TEXTS, conversions.utf8),
    "text_without_nul": (TEXTS, partial(conversions.without_nul, column="t")),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conform(name: str, benchmark: BenchmarkFixture) -> None:
    array, convert = CONVERSIONS[name]
    storage = Storage(convert(array).type, encode=convert)
    column = Column("c", "any", NativeType("any", "any"))
    plan = ColumnPlan(column, column, (Route(Form("c", array.type, array.type), storage),))
    batch = pa.record_batch({"c": array})
    benchmark.extra_info["values"] = ROWS
    assert benchmark(lambda: conform(batch, [plan])).num_rows == ROWS
