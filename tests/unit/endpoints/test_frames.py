"""Frames as sources: anything that hands out an Arrow stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import ArrowsyncError, ConfigError, Report, TransferError
from arrowsync.core.plan import ColumnPlan, Route, Snapshot, Storage, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.transfer import Transfer
from arrowsync.endpoints import Frame, endpoint
from arrowsync.errors import VerificationError
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

ROWS = 10_000
TABLE = pa.table(
    {"id": pa.array(range(ROWS), pa.int64()), "name": [f"row {number}" for number in range(ROWS)]}
)


def copy(source: object, target: object, **told: Any) -> Report:
    return arrowsync.copy(source, target, progress=False, **told)


def duckdb_relation() -> object:
    return pytest.importorskip("duckdb").from_arrow(TABLE)


def pandas_frame() -> object:
    return TABLE.to_pandas()


FRAMES: dict[str, Callable[[], object]] = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.combine_chunks().to_batches()[0],
    "reader": TABLE.to_reader,
    "polars": lambda: pl.from_arrow(TABLE),
    "pandas": pandas_frame,
    "duckdb": duckdb_relation,
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_is_copied(tmp_path: Path, make: Callable[[], object]) -> None:
    report = copy(make(), tmp_path / "t.parquet", verify="hash")
    assert (report.status, report.rows_written, report.verified) == ("complete", ROWS, "hash")
    assert pl.read_parquet(tmp_path / "t.parquet").equals(pl.from_arrow(TABLE))  # type: ignore[arg-type]  # a frame


def test_table_names_the_target_of_a_frame(tmp_path: Path, sqlite_rows: Callable[..., Any]) -> None:
    copy(TABLE, tmp_path / "t.db", table="rows")
    assert sqlite_rows(tmp_path / "t.db", "select count(*), max(id) from rows") == [(ROWS, ROWS - 1)]
    with pytest.raises(ConfigError, match=r"no name.*table="):
        copy(TABLE, tmp_path / "t.db")


def test_views_of_text_and_zones_arrive(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"text": ["ü", None], "at": [datetime(2024, 2, 29, tzinfo=UTC), None], "kind": ["a", "b"]},
        schema_overrides={"kind": pl.Categorical},
    )
    copy(frame, tmp_path / "t.parquet", verify="hash")
    types = [str(field.type) for field in pq.read_schema(tmp_path / "t.parquet")]
    assert types == ["string", "timestamp[us, tz=UTC]", "string"]


CATEGORIES = {
    "lists": (pl.List(pl.Categorical), [["x", "y", None], None, []]),
    "structs": (pl.Struct({"c": pl.Enum(["x"])}), [{"c": "x"}, {"c": None}, None]),
    "both": (pl.List(pl.Struct({"c": pl.Categorical})), [[{"c": "x"}, None], [], None]),
}


def test_categories_inside_of_nested_values_are_their_texts(
    tmp_path: Path, sqlite_rows: Callable[..., Any]
) -> None:
    schema = {name: type for name, (type, _) in CATEGORIES.items()}
    frame = pl.DataFrame({name: values for name, (_, values) in CATEGORIES.items()}, schema=schema)
    assert copy(frame, tmp_path / "f.parquet", verify="hash").verified == "hash"
    found = pq.read_table(tmp_path / "f.parquet")
    for name, (_, values) in CATEGORIES.items():
        assert found[name].to_pylist() == values, name
    copy(frame.select("lists"), f"sqlite:///{tmp_path}/t.db", table="t")
    assert sqlite_rows(tmp_path / "t.db", "select lists from t") == [('["x", "y", null]',), (None,), ("[]",)]


def test_uuids_inside_of_nested_values_arrive(tmp_path: Path, sqlite_rows: Callable[..., Any]) -> None:
    keys = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, None], pa.binary(16)))
    table = pa.table({"s": pa.StructArray.from_arrays([keys], ["key"])})
    assert copy(table, tmp_path / "f.parquet", verify="hash").verified == "hash"
    assert pq.read_table(tmp_path / "f.parquet")["s"].to_pylist() == table["s"].to_pylist()
    copy(table, f"sqlite:///{tmp_path}/t.db", table="t")
    spelled = '{"key": "61616161-6161-6161-6161-616161616161"}'
    assert sqlite_rows(tmp_path / "t.db", "select s from t") == [(spelled,), ('{"key": null}',)]


def test_intervals_are_spelled_as_postgresql_reads_them(tmp_path: Path) -> None:
    values = [pa.MonthDayNano([14, -3, 1_500_000_000]), None, pa.MonthDayNano([0, 0, -1_000])]
    copy(pa.table({"v": pa.array(values)}), tmp_path / "t.parquet", verify="hash")
    field = pq.read_schema(tmp_path / "t.parquet").field("v")
    assert (field.type, field.metadata[b"arrowsync.words"]) == (pa.string(), b"interval")
    texts = pq.read_table(tmp_path / "t.parquet")["v"].to_pylist()
    assert texts == ["P14M-3DT1.500000S", None, "P0M0DT-0.000001S"]


@newest_server
def test_durations_are_intervals_in_postgresql_and_compare(postgresql: Database) -> None:
    values = [0, None, -1, 1, 3_599_999_999, -3_600_000_001, 2**62, -(2**62)]
    frame = pa.table({"v": pa.array(values, pa.int64()).cast(pa.duration("us"))})
    report = copy(frame, postgresql.uri, table="t", verify="hash")
    assert (report.status, report.verified, report.warnings) == ("complete", "hash", ())


@newest_server
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_verify_compares_durations_with_intervals_exactly(
    postgresql: Database, tmp_path: Path, unit: str
) -> None:
    path = str(tmp_path / "t.parquet")
    pq.write_table(
        pa.table({"id": range(4), "v": pa.array([-1_000, 0, None, 90_000_000], pa.duration(unit))}), path
    )
    copy(path, postgresql.uri, table="t")
    for one, other in ((path, postgresql.uri), (postgresql.uri, path)):
        assert arrowsync.verify(one, other, table="t").equal
    postgresql.execute("update t set v = '1 day' where id = 1; update t set v = v + '1 us' where id = 3")
    for one, other in ((path, postgresql.uri), (postgresql.uri, path)):
        [check] = arrowsync.verify(one, other, table="t", key="id").tables
        assert [each.key for each in check.examples] == [{"id": "1"}, {"id": "3"}]


@newest_server
def test_arrows_intervals_are_postgresqls_and_compare(postgresql: Database) -> None:
    values = [(14, -3, 1_500_000_000), None, (0, 0, -1_000), (0, 1, 0)]
    frame = pa.table({"v": pa.array([each and pa.MonthDayNano(each) for each in values])})
    assert copy(frame, postgresql.uri, table="t", verify="hash").verified == "hash"
    assert arrowsync.verify(frame, postgresql.uri, table="t").equal


@newest_server
def test_intervals_compare_with_the_texts_that_spell_them(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute("create table t as select 1 id, interval '1 mon -1.5 s' v")
    target = str(tmp_path / "t.db")
    assert copy(postgresql.uri, target, table="t", cast={"v": "text"}, verify="hash").verified == "hash"
    for one, other in ((postgresql.uri, target), (target, postgresql.uri)):
        assert arrowsync.verify(one, other, table="t").equal
    postgresql.execute("update t set v = '1 mon'")
    assert not arrowsync.verify(postgresql.uri, target, table="t").equal


def test_a_cast_to_another_kind_of_value_is_counted_and_the_report_says_so(tmp_path: Path) -> None:
    frame = pa.table({"v": ["1.5"]})
    report = copy(frame, tmp_path / "t.parquet", cast={"v": "decimal(38,10)"}, verify="hash")
    assert (report.status, report.verified) == ("complete", "count")
    assert "by count only" in str(report.warnings)


@newest_server
def test_what_a_frame_left_unfinished_does_not_stand_in_the_next_ones_way(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*given: object) -> None:
        raise VerificationError("rows differ")

    with monkeypatch.context() as patch:
        patch.setattr("arrowsync.engine.verify.check_copy", differs)
        with pytest.raises(TransferError, match="rows differ"):
            copy(TABLE, postgresql.uri, table="t")
    assert copy(TABLE, postgresql.uri, table="t").status == "complete"
    assert postgresql.execute("select count(*) from t") == [(ROWS,)]


def test_a_stream_that_can_be_read_once_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    reader = TABLE.to_reader()
    copy(reader, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"planned or read before.*Parquet"):
        copy(reader, tmp_path / "b.parquet")


def test_a_stream_that_broke_off_is_not_read_on(tmp_path: Path) -> None:
    text = pa.table({"v": ["1", "2", "x"]})
    with pytest.raises(TransferError, match=r"only once.*gone by"):
        copy(text.to_reader(max_chunksize=1), tmp_path / "t.parquet", cast={"v": "int"})
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_fails_says_so(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from TABLE.to_batches(max_chunksize=100)[:3]
        raise ValueError("the well is dry")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, batches())
    with pytest.raises(TransferError, match=r"cannot be read.*the well is dry"):
        copy(reader, tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (pl.Series([1]), "a Series is no table"),
        (pa.table([[1], [2]], names=["x", "x"]), "two columns of one name"),
    ],
    ids=["series", "names"],
)
def test_what_is_no_table_is_an_error(tmp_path: Path, given: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        copy(given, tmp_path / "t.parquet")


@pytest.mark.parametrize("given", [None, 3, {"a": 1}, b"shop.db", True])
def test_what_is_neither_text_nor_path_nor_frame_is_an_error_that_names_its_type(given: object) -> None:
    with pytest.raises(ConfigError, match=type(given).__name__):
        endpoint(given)


def test_a_lazy_frame_is_to_be_collected() -> None:
    with pytest.raises(ConfigError, match=r"collect\(\)"):
        endpoint(pl.LazyFrame({"a": [1]}))


def test_a_frame_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written to"):
        copy(TABLE, TABLE)


def test_a_frame_knows_no_sql(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"where.*no SQL"):
        copy(TABLE, tmp_path / "t.parquet", where="id < 5")


def test_a_frame_can_be_inspected_and_streamed() -> None:
    [table] = arrowsync.inspect(TABLE)
    assert (table.kind, table.rows, [column.type for column in table.columns]) == (
        "frame",
        ROWS,
        ["int64", "string"],
    )
    assert arrowsync.stream(pl.from_arrow(TABLE)).read_all().num_rows == ROWS


@pytest.mark.timeout(60)
@pytest.mark.parametrize("of_stream", [True, False], ids=["its-rows", "another-table"])
def test_a_copy_goes_on_beside_an_open_stream_when_memory_is_short(tmp_path: Path, of_stream: bool) -> None:
    numbers = range(20 * ROWS)
    large = pa.table(
        {"id": pa.array(numbers), "name": [f"row {number}, and some more" for number in numbers]}
    )
    limits = arrowsync.Limits(memory="64 MiB", batch_rows=1_000)
    reader = arrowsync.stream(large, limits=limits)
    ids = reader.read_next_batch()["id"].to_pylist()
    hog = bytearray(os.urandom(1 << 20) * 120)
    copy(reader if of_stream else large, tmp_path / "t.parquet", limits=limits)
    ids = ids * of_stream + pq.read_table(tmp_path / "t.parquet")["id"].to_pylist()
    assert sorted(ids) == list(numbers)
    reader.close()
    del hog


def test_one_huge_batch_is_cut_into_small_ones() -> None:
    frame = endpoint(TABLE.combine_chunks())
    assert isinstance(frame, Frame)
    [table] = frame.describe(frame.names())
    forms = frame.forms(table)
    columns = tuple(
        ColumnPlan(column, column, (Route(form := forms[column.name][0], Storage(form.arrow)),))
        for column in table.columns
    )
    plan = TablePlan(Transfer(source="", target=""), table, table, columns)
    with frame.open_reader(plan, Partition(0), Snapshot(), batch_bytes=10_000) as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sum(sizes) == ROWS
    assert max(sizes) < 1_000


def test_a_cancelled_read_ends(tmp_path: Path) -> None:
    plan = arrowsync.plan(TABLE, tmp_path / "t.parquet")
    reader = plan.source.open_reader(plan.tables[0], Partition(0), Snapshot(), batch_bytes=1_000)
    with reader:
        reader.cancel()
        with pytest.raises(ArrowsyncError, match="cancelled"):
            list(reader)
