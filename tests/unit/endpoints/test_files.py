"""Parquet files as sources and sinks, from file to file; polars is the other client that looks at them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arrowsync
from arrowsync import ArrowsyncError, ConfigError, Limits, Report, ResumeError, SchemaError, TransferError
from arrowsync.core.receipts import Fingerprint, Partition, Receipt
from arrowsync.endpoints import Database, Files, endpoint
from arrowsync.endpoints.files.parquet.footers import row_groups, widths
from arrowsync.endpoints.files.parquet.reader import opened
from arrowsync.endpoints.files.staging import Staging
from arrowsync.errors import Refused
from arrowsync.types.spelling import exactly, parse

SMALL = Limits(partition_bytes="4 KiB")  # so that a few hundred rows are several partitions


def numbers(path: Path, rows: int = 1_000, *, first: int = 0, group: int = 100) -> Path:
    """A file of two columns, `id` and `name`, in row groups of `group` rows."""
    ids = range(first, first + rows)
    names = pa.array([f"row {number}" for number in ids], pa.string())
    table = pa.table({"id": pa.array(ids, pa.int64()), "name": names})
    pq.write_table(table, path, row_group_size=group)
    return path


def ids(place: Path | str) -> list[int]:
    """The ids that a file or a folder holds, sorted."""
    return pl.read_parquet(place)["id"].sort().to_list()


def copy(source: object, target: object, **told: Any) -> Report:
    return arrowsync.copy(source, target, progress=False, **told)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- values ------------------------------------------------------------------------------------------------

EVERYTHING = {
    "whole": pa.array([1, None], pa.int8()),
    "large": pa.array([2**64 - 1, None], pa.uint64()),
    "price": pa.array([Decimal("1.50"), None], pa.decimal128(38, 10)),
    "huge": pa.array([Decimal(10**50), None], pa.decimal256(60, 3)),
    "real": pa.array([float("nan"), None], pa.float64()),
    "half": pa.array([1.5, None], pa.float16()),
    "key": pa.array([UUID(int=7).bytes, None], pa.uuid()),
    "doc": pa.array(['{"a": 1}', None], pa.json_()),
    "day": pa.array([date(2024, 2, 29), None]),
    "clock": pa.array([time(1, 2, 3), None], pa.time32("ms")),
    "local": pa.array([datetime(2024, 2, 29, 12), None], pa.timestamp("s")),
    "zoned": pa.array([datetime(2024, 2, 29, 12, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
    "nanos": pa.array([1, None], pa.timestamp("ns")),
    "took": pa.array([timedelta(seconds=1), None], pa.duration("ms")),
    "bytes": pa.array([b"\0\xff", None], pa.large_binary()),
    "view": pa.array(["ü", None], pa.string_view()),
    "word": pa.array(["a", None]).dictionary_encode(),
    "list": pa.array([[1, None], None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    "struct": pa.array([{"a": 1, "b": [Decimal("1.5")]}, None]),
    "nothing": pa.nulls(2),
    "a.b": pa.array(["dotted", None]),
}


def test_every_arrow_type_keeps_its_values(tmp_path: Path) -> None:
    pq.write_table(pa.table(EVERYTHING), tmp_path / "a.parquet")
    report = copy(tmp_path / "a.parquet", tmp_path / "b.parquet", verify="hash")
    assert (report.status, report.verified, report.rows_written) == ("complete", "hash", 2)
    found = pq.read_table(tmp_path / "b.parquet")
    for name, values in EVERYTHING.items():
        assert repr(found[name].to_pylist()) == repr(values.to_pylist()), name


def test_zones_decimals_and_uuids_keep_their_types(tmp_path: Path) -> None:
    pq.write_table(pa.table(EVERYTHING), tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet")
    schema = pq.read_schema(tmp_path / "b.parquet")
    for name in ("price", "huge", "key", "doc", "day", "zoned", "nanos", "list", "map", "nothing"):
        assert schema.field(name).type == EVERYTHING[name].type


def test_other_clients_read_what_was_written(tmp_path: Path) -> None:
    columns = ["whole", "price", "day", "zoned", "bytes", "view", "list"]
    pq.write_table(pa.table(EVERYTHING), tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet", columns=columns)
    before = pl.read_parquet(tmp_path / "a.parquet", columns=columns)
    assert pl.read_parquet(tmp_path / "b.parquet").equals(before)


CASTS = [
    (pa.array([1, None]), "decimal(12,2)", [Decimal("1.00"), None]),
    (pa.array([1, 0]), "boolean", [True, False]),
    (pa.array([Decimal("7.00")]), "int", [7]),
    (pa.array([0.1]), "decimal(5,2)", [Decimal("0.10")]),
    (pa.array(["12", None]), "bigint", [12, None]),
    (pa.array(["Yes", "f", None]), "bool", [True, False, None]),
    (pa.array(["1.5e3"]), "double", [1500.0]),
    (pa.array(["2024-02-29 12:00:00"]), "timestamp", [datetime(2024, 2, 29, 12)]),
    (pa.array(["2024-02-29T12:00:00Z"]), "timestamptz", [datetime(2024, 2, 29, 12, tzinfo=UTC)]),
    (pa.array(["01:02:03"]), "time", [time(1, 2, 3)]),
    (pa.array(["2024-02-29"]), "date", [date(2024, 2, 29)]),
    (pa.array(["00000000-0000-0000-0000-000000000007"]), "uuid", [UUID(int=7)]),
    (pa.array([date(2024, 2, 29)]), "text", ["2024-02-29"]),
    (pa.array([Decimal("0.0000001")]), "text", ["0.0000001"]),
    (pa.array([1], pa.timestamp("ns")), "text", ["1970-01-01 00:00:00.000000001"]),
    (pa.array([{"a": [1, None]}]), "text", ['{"a": [1, null]}']),
    (pa.array([timedelta(seconds=-1)]), "text", ["PT-1.000000S"]),
    (pa.array([date(2024, 2, 29)]), "timestamp", [datetime(2024, 2, 29)]),
    (pa.array([1.5]), "float32", [1.5]),
]


@pytest.mark.parametrize(
    ("values", "wanted", "expected"), CASTS, ids=[f"{case[0].type}-to-{case[1]}" for case in CASTS]
)
def test_a_cast_converts_every_value(
    tmp_path: Path, values: pa.Array, wanted: str, expected: list[Any]
) -> None:
    pq.write_table(pa.table({"v": values}), tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet", cast={"v": wanted})
    assert pq.read_table(tmp_path / "b.parquet")["v"].to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array(["0x1A"]), "int"),
        (pa.array([70_000]), "smallint"),
        (pa.array([0.5]), "bigint"),
        (pa.array([2]), "boolean"),
        (pa.array([0.1]), "real"),
        (pa.array([0.129]), "decimal(5,2)"),
        (pa.array([Decimal("1.234")]), "decimal(5,2)"),
        (pa.array(["3e30"]), "decimal(38,10)"),
        (pa.array([3e30]), "decimal(38,10)"),
        (pa.array([Decimal(3 * 10**30)]), "decimal(38,10)"),
        (pa.array([40_000_000_000_001]), "decimal(38,25)"),
        (pa.array(["3e70"]), "decimal(76,38)"),
        (pa.array(["2024-02-30"]), "date"),
        (pa.array([{"bytes": b"x"}]), "text"),
    ],
)
def test_a_cast_that_would_change_a_value_fails_and_leaves_nothing(
    tmp_path: Path, values: pa.Array, wanted: str
) -> None:
    pq.write_table(pa.table({"v": values}), tmp_path / "a.parquet")
    with pytest.raises(TransferError, match="max_bad_rows=0"):
        copy(tmp_path / "a.parquet", tmp_path / "b.parquet", cast={"v": wanted}, max_bad_rows=0)
    assert listing(tmp_path) == ["a.parquet"]


@given(
    st.builds(Decimal, st.integers(-(10**40), 10**40)) | st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([pa.decimal128(38, scale) for scale in (0, 1, 10, 25, 37, 38)] + [pa.decimal256(76, 38)]),
    st.sampled_from(["text", "decimal", "int"]),
)
def test_a_decimal_is_the_number_that_was_given_or_refused(
    number: Decimal, type: pa.DataType, given_as: str
) -> None:
    convert = parse if given_as == "text" else exactly
    try:
        if given_as == "decimal":
            array = pa.array([number])
        else:
            array = pa.array([str(number) if given_as == "text" else int(number.to_integral_value())])
    except (pa.ArrowInvalid, OverflowError):
        return  # no such array
    try:
        made = convert(array, type=type)
    except (Refused, pa.ArrowInvalid):
        return
    assert made.to_pylist() == [int(number.to_integral_value()) if given_as == "int" else number]


def test_appended_numbers_that_the_scale_has_no_room_for_are_refused(tmp_path: Path) -> None:
    out = f"{tmp_path}/out/"
    there = pa.array([Decimal("1.5")], pa.decimal128(38, 10))
    copy(pq_of(tmp_path, {"v": there}), out)
    more = pa.array([Decimal(3 * 10**30)], pa.decimal128(38, 0))
    with pytest.raises(TransferError, match="precision 38"):
        copy(pq_of(tmp_path, {"v": more}), out, mode="append", max_bad_rows=0)
    assert pq.read_table(out)["v"].to_pylist() == [Decimal("1.5")]


def test_decimals_of_negative_scale_become_integers_of_all_their_digits(tmp_path: Path) -> None:
    hundreds = [Decimal("123E+2"), None]
    wide = [Decimal("9" * 38 + "E+2"), None]
    frame = pa.table(
        {
            "v": pa.array(hundreds, pa.decimal128(5, -2)),
            "w": pa.array([Decimal("9" * 38), None]).view(pa.decimal128(38, -2)),
            "l": pa.array([hundreds, None], pa.list_(pa.decimal128(5, -2))),
        }
    )
    copy(frame, tmp_path / "t.parquet", verify="hash")
    found = pq.read_table(tmp_path / "t.parquet")
    assert found.to_pydict() == {"v": hundreds, "w": wide, "l": [hundreds, None]}
    assert [str(type) for type in found.schema.types[:2]] == ["decimal128(7, 0)", "decimal256(40, 0)"]


def test_decimals_that_no_file_keeps_are_refused_while_planning(tmp_path: Path) -> None:
    large = pa.table({"v": pa.nulls(1, pa.decimal128(38, -50))})
    with pytest.raises(SchemaError, match=r"no Arrow type holds decimal128\(38, -50\)"):
        copy(large, tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match=r"no Arrow type 'decimal\(5,-2\)'"):
        copy(pa.table({"v": [100]}), tmp_path / "t.parquet", cast={"v": "decimal(5,-2)"})


def test_a_cast_that_loses_something_needs_consent(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": EVERYTHING["zoned"]}), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match="zone is dropped"):
        copy(tmp_path / "a.parquet", tmp_path / "b.parquet", cast={"v": "timestamp"})
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet", cast={"v": "timestamp"}, allow_lossy=True)
    assert pq.read_table(tmp_path / "b.parquet")["v"].to_pylist()[0] == datetime(2024, 2, 29, 12)


def test_only_columns_that_repeat_their_values_get_a_dictionary(tmp_path: Path) -> None:
    rows = 5_000
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "kind": pa.array([f"kind {n % 7}" for n in range(rows)]),
            "uuid": pa.array([n.to_bytes(16, "big") for n in range(rows)], pa.uuid()),
            "rare": pa.array([n if n % 100 == 0 else None for n in range(rows)], pa.int32()),
            "tags": pa.array([["a", "b"][: n % 3] for n in range(rows)], pa.list_(pa.string())),
        }
    )
    copy(table, tmp_path / "t.parquet")
    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert {c.path_in_schema: c.dictionary_page_offset is not None for c in columns} == {
        "id": False,
        "kind": True,
        "uuid": False,
        "rare": False,
        "tags.list.element": True,
    }
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    empty = pa.schema([("id", pa.int64()), ("tags", pa.list_(pa.string()))]).empty_table()
    copy(empty, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(empty)


def test_decimals_of_up_to_18_digits_are_stored_as_integers(tmp_path: Path) -> None:
    prices = pa.array([Decimal("-1.50"), None, Decimal("9" * 16)], pa.decimal128(18, 2))
    table = pa.table({"price": prices, "wide": prices.cast(pa.decimal128(38, 2))})
    copy(table, tmp_path / "t.parquet")
    stored = pq.ParquetFile(tmp_path / "t.parquet").schema
    assert [stored.column(n).physical_type for n in range(2)] == ["INT64", "FIXED_LEN_BYTE_ARRAY"]
    assert pl.read_parquet(tmp_path / "t.parquet")["price"].to_list() == prices.to_pylist()
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


@pytest.mark.parametrize("bad", [1, 2, 5])
def test_a_row_group_that_cannot_be_stored_fails_the_copy_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    written, write_table = 0, pq.ParquetWriter.write_table

    def failing(self: pq.ParquetWriter, *arguments: Any, **named: Any) -> None:
        nonlocal written
        written += 1
        if written == bad:
            raise OSError(28, "No space left on device")
        write_table(self, *arguments, **named)

    rows = pa.table({"text": ["x" * 100_000] * 250})
    monkeypatch.setattr(pq.ParquetWriter, "write_table", failing)
    with pytest.raises(ArrowsyncError, match=r"cannot write .*No space left"):
        copy(rows, tmp_path / "t.parquet", limits=Limits(memory="64 MiB"))
    assert listing(tmp_path) == []


def test_1_600_columns_arrive(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({f"c{number}": [number, None] for number in range(1_600)}), tmp_path / "a.parquet"
    )
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet", verify="hash")
    assert pl.read_parquet(tmp_path / "b.parquet").rows() == [tuple(range(1_600)), (None,) * 1_600]


def test_int96_is_read_to_the_microsecond_and_the_plan_says_so(tmp_path: Path) -> None:
    late = pa.array([datetime(9999, 12, 31)])  # beyond what nanoseconds reach
    pq.write_table(pa.table({"v": late}), tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    plan = arrowsync.plan(tmp_path / "a.parquet", tmp_path / "b.parquet")
    route = plan.tables[0].columns[0].route
    assert (route.fidelity, route.reason) == ("widened", "INT96 times are read to the microsecond")
    plan.run(progress=False)
    assert pq.read_table(tmp_path / "b.parquet")["v"].to_pylist() == late.to_pylist()


def test_a_renamed_key_and_not_null_columns_survive(tmp_path: Path, sqlite_file: Any) -> None:
    source = sqlite_file("create table t (id integer primary key, name text not null, note text)")
    copy(source, tmp_path / "a.parquet", table="t", rename={"id": "number"})
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet")
    table = arrowsync.inspect(tmp_path / "b.parquet")[0]
    assert table.primary_key is not None
    assert table.primary_key.columns == ("number",)
    assert [(column.name, column.nullable) for column in table.columns] == [
        ("number", False),
        ("name", False),
        ("note", True),
    ]


# -- places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("orders.parquet", Files),
        ("ORDERS.PARQUET", Files),
        ("new/", Files),
        ("*.parquet", Files),
        (".", Files),
        (Path("orders.parquet"), Files),
        ("file:///srv/my%20orders.parquet", Files),
        ("orders.db", Database),
        ("new", Database),
        ("sqlite:///orders.parquet", Database),
        ("postgresql://host/db/", Database),
        ("host=/run/postgresql/", Database),
    ],
)
def test_a_place_is_files_or_a_database(place: object, kind: type) -> None:
    assert isinstance(endpoint(place), kind)


def test_a_file_uri_is_decoded_and_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", "/srv")
    assert endpoint("file:///srv/my%20orders.parquet").identity == "file:///srv/my orders.parquet"
    assert endpoint("${FOLDER}/orders.parquet").identity == "file:///srv/orders.parquet"


@pytest.mark.parametrize("name", ["sp ace", "ünï 🎉", "quo'te\"", "100%", "a{b}"])
def test_any_name_of_a_file_or_folder_works(tmp_path: Path, name: str) -> None:
    source = numbers(tmp_path / f"{name}.parquet")
    copy(source, f"{tmp_path}/{name}/", limits=SMALL, verify="hash")
    copy(f"{tmp_path}/{name}", tmp_path / "back.parquet", verify="hash")
    assert ids(tmp_path / "back.parquet") == list(range(1_000))


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    numbers(tmp_path / "data[1].parquet", 5)
    numbers(tmp_path / "data1.parquet", 3)
    assert copy(f"{tmp_path}/data[1].parquet", tmp_path / "out.parquet").rows_written == 5


def test_a_pattern_takes_every_file_that_it_matches(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    numbers(tmp_path / "a-1.parquet", 10)
    numbers(tmp_path / "a-2.parquet", 10, first=10)
    numbers(tmp_path / "deep" / "b.parquet", 10, first=20)
    assert copy(f"{tmp_path}/a-*.parquet", tmp_path / "some.out.parquet").rows_written == 20
    assert copy(f"{tmp_path}/**/[ab]*.parquet", f"{tmp_path}/all/").rows_written == 30


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("orders.parquet", "orders"),
        ("orders/", "orders"),
        ("orders/*.parquet", "orders"),
        ("old-*.parquet", "old"),
    ],
)
def test_a_table_is_named_after_its_place(tmp_path: Path, place: str, name: str) -> None:
    assert [str(found) for found in Files(f"{tmp_path}/{place}").names()] == [name]


def test_hidden_files_of_a_folder_are_no_part_of_its_table(tmp_path: Path) -> None:
    numbers(tmp_path / "a.parquet", 10)
    for name in (".a.parquet", "_metadata.parquet", "notes.txt"):
        (tmp_path / name).write_text("no Parquet")
    assert arrowsync.inspect(tmp_path)[0].rows == 10


def test_a_link_is_read_and_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    numbers(tmp_path / "real" / "a.parquet", 10)
    (tmp_path / "link.parquet").symlink_to(tmp_path / "real" / "a.parquet")
    (tmp_path / "out.parquet").symlink_to(tmp_path / "real" / "out.parquet")
    copy(tmp_path / "link.parquet", tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").is_symlink()
    assert listing(tmp_path / "real") == ["a.parquet", "out.parquet"]
    with pytest.raises(ConfigError, match="same table"):
        copy(tmp_path / "link.parquet", tmp_path / "real" / "a.parquet", mode="replace")


def test_an_endpoint_can_be_pickled(tmp_path: Path) -> None:
    place = Files(str(numbers(tmp_path / "a.parquet")))
    assert pickle.loads(pickle.dumps(place)).identity == place.identity


def test_inspection_reads_footers_only(tmp_path: Path) -> None:
    path = numbers(tmp_path / "a.parquet")
    with path.open("r+b") as file:  # damage the pages, not the footer
        file.seek(8)
        file.write(b"\xff" * 64)
    table = arrowsync.inspect(path)[0]
    assert (table.kind, table.rows, table.rows_exact) == ("file", 1_000, True)
    assert [(column.name, column.type) for column in table.columns] == [("id", "int64"), ("name", "string")]
    assert table.bytes is not None
    assert table.bytes > 8_000


# -- what cannot be ----------------------------------------------------------------------------------------


def refused(place: object, target: Path, match: str, **told: Any) -> None:
    with pytest.raises((ConfigError, SchemaError), match=match):
        copy(place, target, **told)
    assert not target.exists()


def test_what_is_no_table_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("this is no Parquet file")
    (tmp_path / "cut.parquet").write_bytes(numbers(tmp_path / "a.parquet").read_bytes()[:-20])
    out = tmp_path / "out.parquet"
    refused(tmp_path / "none.parquet", out, "there is no file .*none")
    refused(f"{tmp_path}/none/", out, "there is no folder .*none")
    refused(f"{tmp_path}/none*.parquet", out, r"no file matches .*none\*")
    refused(tmp_path / "empty", out, r"holds no .parquet file.*/\*\*/")
    refused(tmp_path / "text.parquet", out, "cannot read .*text.*magic bytes")
    refused(tmp_path / "cut.parquet", out, "cannot read .*cut")


def test_files_that_differ_are_an_error_that_names_the_difference(tmp_path: Path) -> None:
    numbers(tmp_path / "a.parquet")
    out = tmp_path / "out" / "x.parquet"
    out.parent.mkdir()
    for table, match in [
        (pa.table({"id": [1]}), "differ in the columns name"),
        (pa.table({"id": [1.5], "name": ["x"]}), r"int64 in .*a.parquet.*double in .*b.parquet.*'id'"),
        (pa.table([[1], [2]], names=["id", "id"]), "two columns of one name"),
    ]:
        pq.write_table(table, tmp_path / "b.parquet")
        refused(tmp_path, out, match)


def test_files_alike_in_meaning_are_one_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "name": ["x"]}), tmp_path / "a.parquet")
    name = pa.array(["y"], pa.large_string()).dictionary_encode()
    pq.write_table(pa.table({"name": name, "id": [2]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"id": [3], "name": pa.nulls(1)}), tmp_path / "c.parquet")
    (tmp_path / "out").mkdir()
    copy(tmp_path, tmp_path / "out" / "x.parquet", verify="hash")
    found = pl.read_parquet(tmp_path / "out" / "x.parquet").rows()
    assert found == [(1, "x"), (2, "y"), (3, None)]


def test_values_in_folder_names_are_not_dropped_silently(tmp_path: Path) -> None:
    (tmp_path / "year=2024").mkdir()
    numbers(tmp_path / "year=2024" / "a.parquet")
    refused(f"{tmp_path}/**/*.parquet", tmp_path / "x.parquet", "year=2024.*no column")


def test_files_know_no_sql(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    refused(source, tmp_path / "b.parquet", "where.*no SQL.*DuckDB or polars", where="id < 5")
    refused(source, tmp_path / "b.parquet", "query.*no SQL", query="select 1", target_table="t")


def test_a_target_that_cannot_be_is_an_error_that_says_why(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    refused(source, tmp_path / "none" / "b.parquet", "no folder .*none")
    refused(source, tmp_path / "b*.parquet", "a pattern, not a place to write")
    refused(source, tmp_path / "b.parquet", "no Arrow type 'money'", cast={"id": "money"})


def test_two_tables_do_not_become_one_file(tmp_path: Path, sqlite_file: Any) -> None:
    source = sqlite_file("create table a (x); create table b (x)")
    refused(source, tmp_path / "x.parquet", "a and b would both become x")


def test_a_page_that_cannot_be_read_fails_the_copy_and_leaves_nothing(tmp_path: Path) -> None:
    path = numbers(tmp_path / "a.parquet", 100_000, group=10_000)
    middle = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\xff" * 4_096)
    with pytest.raises(TransferError, match="cannot read row group"):
        copy(path, tmp_path / "b.parquet")
    assert listing(tmp_path) == ["a.parquet"]


# -- modes -------------------------------------------------------------------------------------------------


def test_a_file_holds_what_it_held_unless_it_is_replaced(tmp_path: Path) -> None:
    source, target = numbers(tmp_path / "a.parquet", 10), numbers(tmp_path / "b.parquet", 5)
    before = target.read_bytes()
    with pytest.raises(ConfigError, match=r"holds rows.*append.*replace"):
        copy(source, target)
    with pytest.raises(ConfigError, match=r"written once.*dir/"):
        copy(source, target, mode="append")
    assert target.read_bytes() == before
    assert copy(source, target, mode="replace", verify="hash").verified == "hash"
    assert ids(target) == list(range(10))


def test_replace_leaves_the_file_alone_when_it_fails(tmp_path: Path) -> None:
    source, target = numbers(tmp_path / "a.parquet"), numbers(tmp_path / "b.parquet", 5)
    before = target.read_bytes()
    with pytest.raises(TransferError):
        copy(source, target, mode="replace", cast={"name": "int"}, max_bad_rows=0)
    assert target.read_bytes() == before
    assert listing(tmp_path) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("place", ["b.parquet", "b/"])
def test_create_uses_an_empty_table_whose_columns_fit(tmp_path: Path, place: str) -> None:
    source, none = numbers(tmp_path / "a.parquet", 10), numbers(tmp_path / "none.parquet", 0)
    copy(none, f"{tmp_path}/{place}")
    copy(source, f"{tmp_path}/{place}", verify="hash")
    assert ids(tmp_path / place) == list(range(10))
    with pytest.raises(SchemaError, match="no such column"):
        copy(pq_of(tmp_path, {"other": [1]}), f"{tmp_path}/none.parquet")


def pq_of(folder: Path, columns: dict[str, Any], name: str = "given.parquet") -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def test_a_folder_gets_one_part_for_each_partition(tmp_path: Path) -> None:
    report = copy(numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/", limits=SMALL, verify="hash")
    assert report.partitions > 3
    assert len(listing(tmp_path / "out")) == report.partitions
    assert ids(tmp_path / "out") == list(range(1_000))


@pytest.mark.parametrize(("files", "groups"), [(1, 21), (3, 7), (21, 1)])
def test_partitions_are_runs_of_row_groups_that_are_about_equal(
    tmp_path: Path, files: int, groups: int
) -> None:
    for number in range(files):
        numbers(tmp_path / f"{number:02}.parquet", 100 * groups, first=100 * groups * number)
    source = Files(f"{tmp_path}/")
    [table] = source.describe(source.names())
    for count in (1, 2, 4, 5, 21, 100):
        partitions = source.partitions(table, target_bytes=-(-(table.bytes or 0) // count))
        paths = sorted(str(path) for path in tmp_path.iterdir())
        runs = [
            [(unit.path, group) for unit in row_groups(paths, partition) for group in unit.groups]
            for partition in partitions
        ]
        assert [each for run in runs for each in run] == [
            (path, group) for path in paths for group in range(groups)
        ]
        assert len(runs) == min(count, 21)
        assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_append_adds_parts_also_when_it_is_run_again(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/"
    copy(source, out, limits=SMALL)
    for times in (2, 3):
        assert copy(source, out, mode="append", limits=SMALL).rows_written == 1_000
        assert ids(out) == sorted(list(range(1_000)) * times)


def test_appended_rows_take_the_types_that_are_there(tmp_path: Path) -> None:
    out = f"{tmp_path}/out/"
    first = {
        "id": pa.array([1], pa.int32()),
        "price": pa.array([Decimal("1.5")], pa.decimal128(9, 2)),
        "note": ["x"],
    }
    copy(pq_of(tmp_path, first), out)
    more = {"PRICE": pa.array([Decimal("2.5")], pa.decimal128(5, 1)), "id": pa.array([2], pa.int64())}
    copy(pq_of(tmp_path, more), out, mode="append")
    found = pl.read_parquet(out).sort("id")
    assert found.rows() == [(1, Decimal("1.50"), "x"), (2, Decimal("2.50"), None)]
    with pytest.raises(TransferError, match="not in range"):
        copy(pq_of(tmp_path, {"id": [2**40]}), out, mode="append", max_bad_rows=0)
    with pytest.raises(SchemaError, match="string does not fit int32"):
        copy(pq_of(tmp_path, {"id": ["x"]}), out, mode="append")
    with pytest.raises(SchemaError, match=r"no such column.*price"):
        copy(pq_of(tmp_path, {"id": [3], "prize": [1]}), out, mode="append")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    copy(numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/", limits=SMALL)
    report = copy(numbers(tmp_path / "b.parquet", 10), f"{tmp_path}/out/", mode="replace", verify="hash")
    assert (report.verified, ids(tmp_path / "out")) == ("hash", list(range(10)))
    assert listing(tmp_path) == ["a.parquet", "b.parquet", "out"]


def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    copy(source, f"{out}/")
    for name in ("notes.txt", "deep.parquet/x"):
        other = out / name
        other.parent.mkdir(exist_ok=True)
        other.touch()
        with pytest.raises(ConfigError, match=f"would take away '{name[:4]}"):
            copy(source, f"{out}/", mode="replace")
        other.unlink()
    assert ids(out) == list(range(1_000))


def test_without_a_journal_the_table_is_one_part(tmp_path: Path) -> None:
    report = copy(
        numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/", limits=SMALL, journal=None, verify="hash"
    )
    assert (report.partitions, ids(tmp_path / "out")) == (1, list(range(1_000)))


# -- what another run has left -----------------------------------------------------------------------------


def half_done(source: Path, out: Path, **told: Any) -> arrowsync.Plan:
    """A run that has committed its first two partitions and then died."""
    plan = arrowsync.plan(source, f"{out}/", limits=SMALL, **told)
    table, sink = plan.tables[0], plan.sink
    state = {"source": plan.source.states([table])[0]}
    sink.prepare(table, state)
    for partition in table.partitions[:2]:
        commit(plan, partition)
    return plan


def commit(plan: arrowsync.Plan, partition: Partition) -> None:
    table = plan.tables[0]
    with (
        plan.sink.open_writer(table, partition) as writer,
        plan.source.snapshot() as snapshot,
        plan.source.open_reader(table, partition, snapshot, batch_bytes=1 << 20) as reader,
    ):
        rows = writer.write(iter(reader))
        writer.commit(Receipt(partition.number, rows, Fingerprint(rows), 0))


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_the_same_call_goes_on_where_a_run_ended(tmp_path: Path, mode: str) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    before = []
    if mode != "create":
        copy(numbers(tmp_path / "b.parquet", 10, first=5_000), f"{out}/")
        before = [] if mode == "replace" else list(range(5_000, 5_010))
    half_done(source, out, mode=mode)
    report = copy(source, f"{out}/", limits=SMALL, mode=mode)
    assert (report.partitions_resumed, report.rows_written) == (2, 1_000)
    assert ids(out) == list(range(1_000)) + before
    assert [name for name in listing(tmp_path) + listing(out) if name.startswith(".")] == []


def test_a_source_that_changed_starts_the_table_over(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    numbers(source, first=7_000)
    report = copy(source, f"{out}/", limits=SMALL)
    assert (report.partitions_resumed, ids(out)) == (0, list(range(7_000, 8_000)))
    assert "started over" in report.warnings[0]


def plain(path: Path, *, first: int) -> Path:
    """A file whose size does not depend on its numbers."""
    table = pa.table({"id": pa.array(range(first, first + 3_000), pa.int64())})
    told = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, path, row_group_size=100, **told)
    return path


@pytest.mark.parametrize("how", ["in place", "by a rename"])
def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path, how: str) -> None:
    source, out = plain(tmp_path / "a.parquet", first=0), tmp_path / "out"
    half_done(source, out)
    other, before = plain(tmp_path / "b.parquet", first=7_000), source.stat()
    assert other.stat().st_size == before.st_size
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy2(other, source) if how == "in place" else other.replace(source)
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    report = copy(source, f"{out}/", limits=SMALL)
    assert (report.partitions_resumed, ids(out)) == (0, list(range(7_000, 10_000)))


def test_a_source_that_changed_does_not_go_on_with_append(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    copy(source, f"{out}/")
    half_done(source, out, mode="append")
    numbers(source, first=7_000)
    with pytest.raises(TransferError, match="source may have changed"):
        copy(source, f"{out}/", limits=SMALL, mode="append")


def test_a_run_reads_the_files_as_they_are_when_it_begins(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    plan = arrowsync.plan(source, f"{tmp_path}/out/", limits=SMALL)
    numbers(source, 3_000, first=7_000, group=130)
    plan.run(progress=False)
    assert ids(tmp_path / "out") == list(range(7_000, 10_000))


def test_files_that_change_while_they_are_read_are_not_mixed(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    plan = arrowsync.plan(source, f"{tmp_path}/out/", limits=SMALL)
    with plan.source.snapshot() as snapshot:
        numbers(source, first=7_000)
        with pytest.raises(ResumeError, match="changed while they were read"):
            plan.source.open_reader(plan.tables[0], Partition(0), snapshot, batch_bytes=1 << 20)


def test_another_transfer_waits_for_an_unfinished_one_or_gives_it_up(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    with pytest.raises(ResumeError, match=r"differs in.*exclude"):
        copy(source, f"{out}/", exclude=["name"])
    report = copy(source, f"{out}/", exclude=["name"], restart=True)
    assert (report.rows_written, pl.read_parquet(out).columns) == (1_000, ["id"])


def test_parts_that_an_abandoned_append_added_are_taken_back(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    copy(source, f"{out}/", limits=SMALL)
    half_done(source, out, mode="append")
    report = copy(source, f"{out}/", limits=SMALL, mode="append", restart=True)
    assert ids(out) == sorted([*range(1_000), *range(1_000)])
    assert "are copied again" in report.warnings[0]


def test_what_killed_runs_left_is_cleared_by_any_command_and_nobody_elses_files_are(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    (out / ".part-00002-0123456789ab.parquet.0123456789ab.tmp").touch()
    for name in ("arrowsync_lock", "arrowsync_gone", "arrowsync_0123456789ab_0"):
        Staging(out).named(name).touch()
        Staging(tmp_path / "other").named(name).touch()
    (tmp_path / ".hidden").touch()
    copy(source, f"{out}/", limits=SMALL)
    others = sorted(path.name for path in Staging(tmp_path / "other")._names())
    assert listing(tmp_path) == sorted([*others, ".hidden", "a.parquet", "out"])
    assert all(name.startswith("part-") for name in listing(out))


def test_a_part_that_was_being_written_is_no_obstacle_to_replace(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    copy(numbers(tmp_path / "b.parquet", 10), f"{out}/")
    (out / ".part-00002-0123456789ab.parquet.0123456789ab.tmp").touch()
    copy(source, f"{out}/", mode="replace")
    assert ids(out) == list(range(1_000))


def test_what_others_put_into_a_folder_that_is_being_made_is_not_mixed_in(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    numbers(out / "foreign.parquet", 5)
    for restart in (False, True):
        with pytest.raises(TransferError, match=r"foreign.parquet' holds rows since"):
            copy(source, f"{out}/", limits=SMALL, restart=restart)
    assert (out / "foreign.parquet").exists()


def test_a_folder_where_a_disk_is_mounted_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    copy(source, f"{out}/")
    monkeypatch.setattr(os.path, "ismount", lambda path: path == out)
    with pytest.raises(ConfigError, match=r"disk is mounted.*out/rows/"):
        copy(source, f"{out}/", mode="replace")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        copy(source, f"{numbers(tmp_path / 'b.parquet')}/")


def test_a_run_that_was_started_over_can_commit_nothing_more(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    plan = half_done(source, out)
    late = plan.sink.open_writer(plan.tables[0], plan.tables[0].partitions[2])
    with late:
        late.write(iter([]))
        copy(source, f"{out}/", limits=SMALL, restart=True)
        with pytest.raises(ArrowsyncError, match=r"another run|taken away"):
            late.commit(Receipt(2, 0, Fingerprint(), 0))
    with pytest.raises(ResumeError, match="another run"):
        commit(plan, plan.tables[0].partitions[3])
    assert ids(out) == list(range(1_000))


def test_a_second_plan_made_at_the_same_time_is_refused(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/"
    first, second = (arrowsync.plan(source, out, limits=SMALL) for _ in range(2))
    state = {"source": first.source.states([first.tables[0]])[0]}
    first.sink.prepare(first.tables[0], state)
    with pytest.raises(TransferError, match="another run has begun"):
        second.run(progress=False)


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_folder_tells_how_far_an_unfinished_transfer_is(tmp_path: Path, mode: str) -> None:
    out = Files(f"{tmp_path}/out/")
    source = numbers(tmp_path / "a.parquet")
    plan = half_done(source, tmp_path / "out", mode=mode)
    [status] = out.transfers("arrowsync")
    assert (status.tables[0].table, status.mode, status.status) == ("out", mode, "interrupted")
    assert (status.partitions, status.partitions_done) == (len(plan.tables[0].partitions), 2)
    assert status.rows == sum(partition.rows for partition in plan.sink.prepare(plan.tables[0], None))
    assert 0 <= status.age_seconds < 60
    copy(source, f"{tmp_path}/out/", limits=SMALL, mode=mode)
    assert out.transfers("arrowsync") == []


def test_a_journal_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    (out / ".arrowsync.json").write_text("{")
    with pytest.raises(ResumeError, match=r"journal .*out/.arrowsync.json cannot be read"):
        copy(source, f"{out}/")


def test_a_partition_that_is_committed_is_not_written_again(tmp_path: Path) -> None:
    plan = half_done(numbers(tmp_path / "a.parquet"), tmp_path / "out")
    with plan.sink.open_writer(plan.tables[0], plan.tables[0].partitions[1]) as writer:
        assert writer.done is not None
        assert writer.done.partition == 1


def test_a_part_that_is_not_the_one_of_its_receipt_is_copied_again(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    part = sorted(out.glob("part-00000-*.parquet"))[0]
    pq.write_table(pq.read_table(part).slice(1), part)
    report = copy(source, f"{out}/", limits=SMALL)
    assert (report.partitions_resumed, ids(out)) == (1, list(range(1_000)))


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"content": 1}', "without its values"])
def test_a_receipt_that_cannot_be_read_counts_for_nothing(tmp_path: Path, text: str) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    for receipt in out.glob(".*.receipt"):
        values = json.dumps({**json.loads(receipt.read_text()), "receipt": "{}"})
        receipt.write_text(values if text == "without its values" else text)
    rows = pq.read_metadata(source).num_rows
    report = copy(source, f"{out}/", limits=SMALL)
    assert (report.rows_written, report.rows_resumed) == (rows, 0)
    assert sum(pq.read_metadata(part).num_rows for part in out.glob("*.parquet")) == rows


def test_a_receipt_without_its_part_counts_for_nothing(tmp_path: Path) -> None:
    source, out = numbers(tmp_path / "a.parquet"), tmp_path / "out"
    half_done(source, out)
    sorted(out.glob("part-00000-*.parquet"))[0].unlink()
    report = copy(source, f"{out}/", limits=SMALL)
    assert (report.partitions_resumed, ids(out)) == (1, list(range(1_000)))


def test_a_finished_part_tells_nothing_of_its_transfer(tmp_path: Path) -> None:
    copy(numbers(tmp_path / "a.parquet"), f"{tmp_path}/out/", limits=SMALL)
    for part in (tmp_path / "out").iterdir():
        assert pq.read_metadata(part).metadata.keys() == {b"arrowsync.key", b"ARROW:schema"}


def test_what_a_killed_run_left_beside_a_file_is_cleared(tmp_path: Path) -> None:
    source = numbers(tmp_path / "a.parquet")
    plan = arrowsync.plan(source, tmp_path / "b.parquet")
    plan.sink.prepare(plan.tables[0], {})
    commit(plan, Partition(0))
    assert len(listing(tmp_path)) == 2
    assert not (tmp_path / "b.parquet").exists()
    copy(source, tmp_path / "b.parquet", verify="hash")
    assert listing(tmp_path) == ["a.parquet", "b.parquet"]


def test_create_does_not_overwrite_what_has_come_meanwhile(tmp_path: Path) -> None:
    plan = arrowsync.plan(numbers(tmp_path / "a.parquet"), tmp_path / "b.parquet")
    numbers(tmp_path / "b.parquet", 5)
    with pytest.raises(TransferError, match="holds rows since"):
        plan.run(progress=False)
    assert ids(tmp_path / "b.parquet") == list(range(5))


def test_finishing_twice_does_no_harm(tmp_path: Path) -> None:
    for place in ("b.parquet", "b/"):
        plan = arrowsync.plan(numbers(tmp_path / "a.parquet"), f"{tmp_path}/{place}", mode="create")
        plan.run(progress=False)
        plan.sink.publish(plan.tables[0], (), {"outcome": "complete", "verified": None}, list().append)
        assert ids(tmp_path / place) == list(range(1_000))


# -- rows, memory ------------------------------------------------------------------------------------------


def test_null_where_a_file_declares_none_is_a_bad_row(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    pq.write_table(pa.table({"id": [1]}, schema), tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", f"{tmp_path}/out/")
    nulls = pq_of(tmp_path, {"id": [2, None, 3, None]}, "b.parquet")
    quarantine = tmp_path / "bad"
    report = copy(nulls, f"{tmp_path}/out/", mode="append", quarantine=str(quarantine))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 2, 2)
    assert ids(tmp_path / "out") == [1, 2, 3]
    bad = pl.read_parquet(next(quarantine.rglob("*.parquet")))
    assert bad["_arrowsync_sqlstate"].to_list() == ["23502", "23502"]


def test_refused_rows_are_replayed_without_the_columns_that_say_why(tmp_path: Path) -> None:
    metadata = {"arrowsync.quarantine.added": '["_arrowsync_error", "_arrowsync_partition"]'}
    for part, values in enumerate([pa.array([1, 2]), pa.array(["3", "4"])]):
        table = pa.table({"id": values, "_arrowsync_error": ["no", "no"], "_arrowsync_partition": [part] * 2})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / f"part-{part}.parquet")
    source = arrowsync.inspect(tmp_path)[0]
    assert [(column.name, column.type) for column in source.columns] == [("id", "int64")]
    (tmp_path / "out").mkdir()
    copy(tmp_path, tmp_path / "out" / "x.parquet")
    assert pl.read_parquet(tmp_path / "out" / "x.parquet")["id"].to_list() == [1, 2, 3, 4]


def test_a_column_that_is_named_like_a_reason_is_kept_beside_it_and_replayed(tmp_path: Path) -> None:
    frame = pa.table({"id": ["1", "x"], "_arrowsync_error": ["mine", "my own"], "_arrowsync_error_": [1, 2]})
    quarantine = tmp_path / "bad"
    copy(frame, tmp_path / "a.parquet", cast={"id": "int"}, quarantine=str(quarantine))
    (file,) = quarantine.rglob("*.parquet")
    bad = pq.read_table(file).to_pylist()
    assert [(row["_arrowsync_error"], row["_arrowsync_error_"]) for row in bad] == [("my own", 2)]
    assert "no number" in bad[0]["_arrowsync_error__"]
    copy(file.parent, tmp_path / "b.parquet")
    assert pl.read_parquet(tmp_path / "b.parquet").rows() == [("x", "my own", 2)]


MEASURE = """
import sys
import pyarrow as pa
from arrowsync.core.plan import ColumnPlan, Route, Snapshot, Storage, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.transfer import Transfer
from arrowsync.endpoints import endpoint
source = endpoint(sys.argv[1])
table = source.describe(source.names())[0]
forms = source.forms(table)
columns = tuple(ColumnPlan(c, c, (Route(forms[c.name][0], Storage(forms[c.name][0].arrow)),)) for c in table.columns)
plan = TablePlan(Transfer(source="", target=""), table, table, columns)
rows = largest = 0
with source.open_reader(plan, Partition(0), Snapshot(), batch_bytes=3 << 20) as reader:
    for batch in reader:
        rows, largest = rows + batch.num_rows, max(largest, batch.nbytes)
print(rows, largest, pa.default_memory_pool().max_memory())
"""


def measured(path: Path) -> tuple[int, int, int]:
    """Rows read, bytes of the largest batch, the most that Arrow held, all in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    rows, largest, most = map(int, found.stdout.split())
    return rows, largest, most


def test_a_huge_row_group_is_read_in_little_memory(tmp_path: Path) -> None:
    count = 1_000_000
    words = pl.select(pl.int_range(count).hash(1).cast(pl.String)).to_series().to_arrow()
    table = pa.table({f"c{number}": words for number in range(4)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=count, use_dictionary=False)
    rows, largest, most = measured(tmp_path / "a.parquet")
    assert (rows, table.nbytes > 80 << 20) == (count, True)
    assert largest < 2 << 20
    assert most < 24 << 20


def test_long_texts_in_a_dictionary_do_not_make_huge_batches(tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 50_000, pa.int32()), ["x" * 5_000, "y" * 5_000])
    pq.write_table(pa.table({"v": words}), tmp_path / "a.parquet")
    rows, largest, _ = measured(tmp_path / "a.parquet")
    assert rows == 100_000
    assert largest < 8 << 20


def test_row_groups_are_as_large_as_memory_allows(tmp_path: Path) -> None:
    count = 2_000_000
    pq.write_table(pa.table({"id": pa.array(range(count), pa.int64())}), tmp_path / "a.parquet")
    for memory, groups in (("64 MiB", 4), ("512 MiB", 1)):
        copy(tmp_path / "a.parquet", tmp_path / "b.parquet", limits=Limits(memory=memory), mode="replace")
        found = pq.read_metadata(tmp_path / "b.parquet")
        assert (found.num_rows, found.num_row_groups) == (count, groups)


# -- dictionaries ------------------------------------------------------------------------------------------


def documents(path: Path, *lengths: int, **written: Any) -> Path:
    """A file of two columns, `id` and `body`, with a text of each length that is like no other."""
    bodies = [f"{number:08d}" * (length // 8) for number, length in enumerate(lengths)]
    pq.write_table(pa.table({"id": list(range(len(lengths))), "body": bodies}), path, **written)
    return path


def test_a_dictionary_that_no_reader_can_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Writers look at a dictionary's size after a thousand values: here it has all 50 MiB of the file."""
    source = documents(tmp_path / "in.parquet", *[1 << 20] * 50)
    target = tmp_path / "out.parquet"
    with pytest.raises(TransferError, match=r"of dictionaries, .*64 MiB.*'body'.*--memory") as failed:
        copy(source, target, limits=Limits(memory="64 MiB"))
    assert [error.type for error in failed.value.report.errors] == ["MemoryLimitError"]
    assert not target.exists()
    assert copy(source, target, limits=Limits(memory="256 MiB")).rows_written == 50


def test_a_dictionary_of_a_column_that_is_not_wanted_is_no_hindrance(tmp_path: Path) -> None:
    source = documents(tmp_path / "in.parquet", *[1 << 20] * 50)
    told = {"columns": ["id"], "limits": Limits(memory="64 MiB")}
    assert copy(source, tmp_path / "out.parquet", **told).rows_written == 50


def test_the_same_texts_without_a_dictionary_are_no_hindrance(tmp_path: Path) -> None:
    source = documents(tmp_path / "in.parquet", *[1 << 20] * 50, use_dictionary=False, write_batch_size=1)
    assert copy(source, tmp_path / "out.parquet", limits=Limits(memory="64 MiB")).rows_written == 50


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_what_is_held_of_a_dictionary_is_its_size_twice_and_as_it_is_stored(
    tmp_path: Path, compression: str
) -> None:
    path = documents(tmp_path / "in.parquet", *[4_000] * 500, compression=compression, row_group_size=100)
    one_group = 100 * 4_000
    held = widths([str(path)], ["body"]).held
    stored = pq.ParquetFile(path).metadata.row_group(0).column(1).total_compressed_size
    assert held == pytest.approx(2 * one_group + stored, rel=0.05)


def test_the_footer_of_a_file_is_read_once_while_somebody_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    written = path.stat()
    with opened(str(path)):
        with opened(str(path)):
            with path.open("r+b") as file:
                file.seek(-4, os.SEEK_END)
                file.write(b"gone")
            os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
        with opened(str(path)) as third:
            assert third.read().to_pylist() == [{"a": 1}, {"a": 2}]
    with pytest.raises(ConfigError, match="cannot read"), opened(str(path)):
        pass


def test_a_file_that_takes_the_place_of_an_open_one_is_read_by_its_own_footer(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    with opened(str(path)):
        pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "other")
        (tmp_path / "other").replace(path)
        with opened(str(path)) as other:
            assert other.read().to_pylist() == [{"a": 1}, {"a": 2}, {"a": 3}]
