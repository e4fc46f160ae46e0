"""Rows of any width are copied inside the memory limit or refused by name, between any two endpoints."""

import pytest

import arrowsync
from arrowsync import Limits, MemoryLimitError, TransferError
from arrowsync.core.units import MiB
from arrowsync.engine.memory import process_tracker
from benchmarks.harness import arrowsync_copy
from benchmarks.memory import added_bytes
from tests.conformance.conftest import Pair

SMALLEST = Limits(memory="64 MiB")


def add_rows(pair: Pair, first: int, count: int, nbytes: int) -> None:
    last = first + count - 1
    count_up = f"with recursive n(i) as (select {first} union all select i + 1 from n where i < {last}) "
    value = f"randomblob({nbytes})"
    if "postgresql" in pair.source.uri:
        value = f"decode(repeat(md5(i::text), {nbytes // 16}), 'hex')"
    pair.source.run(f"{count_up} insert into t select i, {value} from n")


@pytest.fixture
def mixed(pair: Pair) -> Pair:
    """Narrow rows, 4 MiB each in the middle, narrow rows."""
    kind = "bytea" if "postgresql" in pair.source.uri else "blob"
    pair.source.run(f"create table t (id bigint primary key, b {kind})")
    for first, count, nbytes in ((1, 20_000, 32), (20_001, 10, 4 * MiB), (20_011, 20_000, 32)):
        add_rows(pair, first, count, nbytes)
    return pair


def test_wide_rows_among_narrow_ones_stay_inside_the_smallest_limit(mixed: Pair) -> None:
    copied = arrowsync_copy(
        mixed.source.uri, mixed.target.uri, table="t", verify="hash", limits={"memory": "64 MiB"}
    )
    assert copied.report["rows_written"] == 40_010
    assert added_bytes(copied) < 64 * MiB
    query = "select count(*), sum(length(b)) from t"
    assert mixed.target.rows(query) == mixed.source.rows(query)


def test_a_row_too_wide_is_refused_by_its_key_before_anything_is_written(mixed: Pair) -> None:
    add_rows(mixed, 77_777, 1, 8 * MiB)
    with pytest.raises(TransferError, match=r"8 MiB does not fit .* 64 MiB .*id = 77777.*8[12] MiB"):
        arrowsync.copy(mixed.source.uri, mixed.target.uri, table="t", limits=SMALLEST)
    with pytest.raises(arrowsync.ConfigError):
        arrowsync.inspect(mixed.target.uri, table="t")


def test_rows_too_wide_that_are_not_wanted_are_no_hindrance(mixed: Pair) -> None:
    add_rows(mixed, 77_777, 1, 8 * MiB)
    report = arrowsync.copy(
        mixed.source.uri, mixed.target.uri, table="t", where="id < 77777", limits=SMALLEST
    )
    assert report.rows_written == 40_010


def test_a_view_whose_row_is_too_wide_is_refused_and_no_byte_stays_leased(mixed: Pair) -> None:
    add_rows(mixed, 77_777, 1, 8 * MiB)
    mixed.source.run("create view v as select * from t")
    with process_tracker(64 * MiB) as tracker:
        with pytest.raises(TransferError) as caught:
            arrowsync.copy(mixed.source.uri, mixed.target.uri, table="v", limits=SMALLEST)
        assert tracker.leased == 0
    assert isinstance(caught.value.__cause__, MemoryLimitError)


def test_1_600_columns_stay_inside_the_smallest_limit(pair: Pair) -> None:
    names = ", ".join(f"c{number} boolean" for number in range(1_600))
    values = ", ".join("true" if number % 3 else "null" for number in range(1_600))
    pair.source.run(f"create table wide ({names}); insert into wide values ({values})")
    pair.source.run("insert into wide select * from wide;" * 10)
    copied = arrowsync_copy(pair.source.uri, pair.target.uri, table="wide", limits={"memory": "64 MiB"})
    assert copied.report["rows_written"] == 1_024
    assert added_bytes(copied) < 64 * MiB
