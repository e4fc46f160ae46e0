"""Copies out of Parquet files and into folders of them stay inside the smallest limit, as the report tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, MemoryLimitError, TransferError
from arrowsync.core.units import MiB
from benchmarks.harness import arrowsync_copy
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

SMALLEST = 64 * MiB
THIN, WIDE = 20_000, 10


def peak(source: str, target: Path, **told: object) -> int:
    """What a process that only copies tells of its memory."""
    report = arrowsync_copy(
        source, f"{target}/", table="t", limits={"memory": "64 MiB", **told}, workers=16
    ).report
    assert report["status"] == "complete"
    assert sum(pq.read_metadata(part).num_rows for part in target.glob("*.parquet")) == report["rows_written"]
    return int(report["peak_memory"])


@pytest.mark.parametrize("kind", ["text", "blob"])
def test_thin_rows_followed_by_wide_ones_out_of_sqlite_stay_inside(
    sqlite_file: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    count = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {THIN + WIDE}) "
    wide = "hex(randomblob({}))" if kind == "text" else "randomblob(2 * {})"
    width = f"iif(i > {THIN}, {2 * MiB}, 16)"
    source = sqlite_file(
        f"create table t (id integer primary key, v {kind}); "
        f"{count} insert into t select i, {wide.format(width)} from n"
    )
    assert peak(str(source), tmp_path / "out") < SMALLEST


@newest_server
@pytest.mark.parametrize("kind", ["text", "bytea"])
def test_thin_rows_followed_by_wide_ones_out_of_postgresql_stay_inside(
    new_database: Callable[[], Database], tmp_path: Path, kind: str
) -> None:
    source = new_database()
    text = f"repeat(md5(i::text), case when i > {THIN} then {4 * MiB // 32} else 1 end)"
    source.execute(f"create table t (id bigint primary key, v {kind})")
    source.execute(
        f"insert into t select i, {text}{'::bytea' if kind == 'bytea' else ''} "
        f"from generate_series(1, {THIN + WIDE}) i"
    )
    assert peak(source.uri, tmp_path / "out") < SMALLEST


def values(kind: str, count: int, nbytes: int) -> list[str] | list[bytes]:
    """No two alike, and not to be compressed."""
    if kind == "blob":
        return [os.urandom(nbytes) for _ in range(count)]
    return [os.urandom(nbytes // 2).hex() for _ in range(count)]


def written(path: Path, groups: Sequence[Sequence[object]], **told: object) -> str:
    """A file of these row groups, whose wide values have pages of their own."""
    told = {"use_dictionary": False, "write_batch_size": 1, "data_page_size": 64 * 1024, **told}
    tables = [pa.table({"id": range(len(group)), "v": group}) for group in groups]
    with pq.ParquetWriter(path, tables[0].schema, **told) as writer:
        for table in tables:
            writer.write_table(table)
    return str(path)


@pytest.fixture(params=["text", "blob"])
def thin_then_wide(request: pytest.FixtureRequest) -> list[list[str] | list[bytes]]:
    return [values(request.param, THIN, 16), values(request.param, WIDE, 3 * MiB)]


def test_thin_rows_followed_by_wide_ones_in_one_row_group_stay_inside(
    thin_then_wide: list[list[object]], tmp_path: Path
) -> None:
    thin, wide = thin_then_wide
    assert peak(written(tmp_path / "t.parquet", [thin + wide]), tmp_path / "out") < SMALLEST


def test_wide_rows_in_a_later_row_group_stay_inside(
    thin_then_wide: list[list[object]], tmp_path: Path
) -> None:
    assert peak(written(tmp_path / "t.parquet", thin_then_wide), tmp_path / "out") < SMALLEST


def test_wide_rows_followed_by_thin_ones_and_wide_ones_here_and_there_stay_inside(
    thin_then_wide: list[list[object]], tmp_path: Path
) -> None:
    thin, wide = thin_then_wide
    mixed = [each for one in wide for each in (*thin[:1_000], one)]
    assert peak(written(tmp_path / "t.parquet", [wide + thin, mixed]), tmp_path / "out") < SMALLEST


def test_rows_of_a_file_that_could_take_more_are_refused_and_the_limit_named_does(tmp_path: Path) -> None:
    source = written(tmp_path / "t.parquet", [values("text", THIN, 16) + values("text", WIDE, 4 * MiB)])
    with pytest.raises(TransferError, match=r"pages and footers does not fit .*64 MiB") as caught:
        arrowsync.copy(source, f"{tmp_path}/out/", limits=Limits(memory="64 MiB"), progress=False)
    named = re.search(r"Give it (\d+) MiB", str(caught.value))
    assert named
    report = arrowsync_copy(source, f"{tmp_path}/out/", limits={"memory": f"{named[1]} MiB"}).report
    assert report["peak_memory"] < int(named[1]) * MiB


def test_wide_values_in_structs_stay_inside(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": each} for each in values("text", THIN, 16) + values("text", WIDE, 3 * MiB)]
    assert peak(written(tmp_path / "t.parquet", [rows]), tmp_path / "out") < SMALLEST


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_wide_lists_stay_inside(tmp_path: Path, version: str) -> None:
    rows = [[each] for each in values("text", THIN, 16)] + [values("text", 32, 64 * 1024)] * WIDE
    source = written(tmp_path / "t.parquet", [rows], data_page_version=version)
    assert peak(source, tmp_path / "out") < SMALLEST


def test_a_dictionary_of_a_few_wide_values_that_are_repeated_stays_inside(tmp_path: Path) -> None:
    rows = values("text", 2_000, 16) + values("text", 4, 100 * 1024) * 500
    source = written(tmp_path / "t.parquet", [rows], use_dictionary=True)
    assert peak(source, tmp_path / "out") < SMALLEST


def test_thin_rows_followed_by_wide_ones_out_of_parquet_into_sqlite_stay_inside(
    thin_then_wide: list[list[object]], tmp_path: Path
) -> None:
    thin, wide = thin_then_wide
    source = written(tmp_path / "t.parquet", [thin + wide, thin, wide])
    report = arrowsync_copy(source, str(tmp_path / "t.db"), limits={"memory": "64 MiB"}, workers=16).report
    assert report["rows_written"] == 2 * (THIN + WIDE)
    assert report["peak_memory"] < SMALLEST


@newest_server
def test_thin_rows_followed_by_wide_ones_out_of_parquet_into_postgresql_stay_inside(
    thin_then_wide: list[list[object]], new_database: Callable[[], Database], tmp_path: Path
) -> None:
    thin, wide = thin_then_wide
    source = written(tmp_path / "t.parquet", [thin + wide, thin, wide])
    target = new_database().uri
    report = arrowsync_copy(source, target, limits={"memory": "64 MiB"}, workers=16).report
    assert report["rows_written"] == 2 * (THIN + WIDE)
    assert report["peak_memory"] < SMALLEST


@pytest.mark.parametrize("dictionary", [False, True])
def test_files_whose_wide_values_share_a_page_are_refused_and_the_limit_named_does(
    thin_then_wide: list[list[object]], tmp_path: Path, dictionary: bool
) -> None:
    thin, wide = thin_then_wide
    source = written(tmp_path / "t.parquet", [thin + wide], use_dictionary=dictionary, write_batch_size=1_024)
    with pytest.raises(TransferError, match=r"pages and footers does not fit .*64 MiB.*'v'") as caught:
        arrowsync.copy(source, f"{tmp_path}/out/", limits=Limits(memory="64 MiB"), progress=False)
    assert not list(tmp_path.glob("out/*.parquet"))
    named = re.search(r"Give it (\d+) MiB", str(caught.value))
    assert named
    report = arrowsync_copy(source, f"{tmp_path}/out/", limits={"memory": f"{named[1]} MiB"}).report
    assert report["peak_memory"] < int(named[1]) * MiB


@pytest.mark.parametrize("target", ["out/", "t.db"])
def test_a_list_of_many_numbers_is_refused_where_it_does_not_fit_and_the_limit_named_does(
    tmp_path: Path, target: str
) -> None:
    rows = pa.array([*([number] for number in range(2_000)), *[range(512 * 1024)] * 4], pa.list_(pa.int64()))
    source = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"v": rows}), source)
    copied = f"{tmp_path}/{target}"
    with pytest.raises(TransferError, match=r"row of .* does not fit .*64 MiB.*row number 2,001") as caught:
        arrowsync.copy(source, copied, limits=Limits(memory="64 MiB"), progress=False)
    named = re.search(r"Give it (\d+) MiB", str(caught.value))
    assert named
    report = arrowsync_copy(source, copied, limits={"memory": f"{named[1]} MiB"}).report
    assert (report["status"], report["rows_written"]) == ("complete", len(rows))
    assert report["peak_memory"] < int(named[1]) * MiB


def test_many_parts_by_many_workers_stay_inside(sqlite_file: Callable[..., Path], tmp_path: Path) -> None:
    source = sqlite_file(
        "create table t (id integer primary key, name text, code text);"
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 600000) "
        "insert into t select i, 'name ' || (i % 1000), hex(randomblob(16)) from n"
    )
    assert peak(str(source), tmp_path / "out", partition_bytes="4 MiB") < SMALLEST
    assert len(list((tmp_path / "out").iterdir())) > 5


@pytest.mark.slow
@newest_server
def test_1_600_columns_by_16_workers_stay_inside(
    new_database: Callable[[], Database], tmp_path: Path
) -> None:
    source = new_database()
    source.execute(f"create table t ({', '.join(f'c{number} int' for number in range(1_600))})")
    values = ", ".join(["(random() * 2e9)::int"] * 1_600)
    source.execute(f"insert into t select {values} from generate_series(1, 2000)")
    source.execute("analyze t")
    assert peak(source.uri, tmp_path / "out") < SMALLEST


@pytest.fixture
def columns() -> pa.Table:
    """1,600 columns that are one and the same in memory."""
    values = pa.array(range(500), pa.int64())
    return pa.table({f"c{number}": values for number in range(1_600)})


def test_files_of_1_600_columns_are_refused_where_a_reader_does_not_fit_and_the_limit_named_does(
    columns: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(columns, tmp_path / "in" / "a.parquet")
    with pytest.raises(TransferError, match=r"pages and footers does not fit .*64 MiB") as caught:
        arrowsync.copy(f"{tmp_path}/in/", f"{tmp_path}/out/", limits=Limits(memory="64 MiB"), progress=False)
    assert isinstance(caught.value.__cause__, MemoryLimitError)
    assert not list(tmp_path.glob("out/*.parquet"))
    named = re.search(r"Give it (\d+) MiB", str(caught.value))
    assert named
    report = arrowsync_copy(
        f"{tmp_path}/in/", f"{tmp_path}/out/", limits={"memory": f"{named[1]} MiB"}
    ).report
    assert report["peak_memory"] < int(named[1]) * MiB


def test_a_file_whose_footer_would_not_fit_is_refused_and_a_folder_gets_more_parts(
    columns: pa.Table, tmp_path: Path
) -> None:
    many = pa.concat_tables([columns] * 12)
    limits = Limits(memory="64 MiB")
    with pytest.raises(TransferError, match=r"pages and footers does not fit .*64 MiB"):
        arrowsync.copy(many, tmp_path / "out.parquet", limits=limits, progress=False)
    assert list(tmp_path.iterdir()) == []
    one = arrowsync.plan(columns, f"{tmp_path}/out/", limits=limits)
    table = arrowsync.plan(columns.select(range(16)), f"{tmp_path}/out/", limits=limits).tables[0].source
    assert one.sink.largest_partition(one.tables[0].source, one.transfer) < 16 * MiB
    assert one.sink.largest_partition(table, one.transfer) > one.transfer.limits.partition_size
