"""Refused rows are counted against what is allowed and kept in files that change no value."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arrowsync.core.receipts import Partition, Refusal
from arrowsync.core.table import TableName
from arrowsync.engine import quarantine
from arrowsync.engine.quarantine import BadRowFile, Tally
from arrowsync.errors import ConfigError, DataError
from tests.unit.builders import TRANSFER, a_plan, a_receipt, a_table

WHY = Refusal(0, "no", "23502", "c", "id")


def rows(**columns: list[object]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def refuse(tally: Tally, partition: int, times: int) -> None:
    for number in range(times):
        tally.refuse(partition, WHY, partial("id={}".format, number))


def test_a_file_is_there_only_when_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "t" / "part-0.parquet"
    with BadRowFile(path) as file:
        file.add(rows(id=[1, 2]), [WHY, WHY], 7)
        assert not path.exists()
        file.publish()
    table = pq.read_table(path)
    assert json.loads(table.schema.metadata[b"arrowsync.quarantine.added"]) == table.schema.names[1:]
    assert table.to_pylist()[0] == {
        "id": 1,
        "_arrowsync_error": "no",
        "_arrowsync_sqlstate": "23502",
        "_arrowsync_constraint": "c",
        "_arrowsync_partition": 7,
    }
    assert [each.name for each in path.parent.iterdir()] == ["part-0.parquet"]


def test_a_file_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with BadRowFile(tmp_path / "part-0.parquet") as file:
        file.add(rows(id=["x" * quarantine.GROUP_BYTES]), [WHY], 0)
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group_bytes", [1, 1 << 20], ids=["in several groups", "in one"])
def test_a_column_whose_type_changes_becomes_text_in_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_bytes: int
) -> None:
    monkeypatch.setattr(quarantine, "GROUP_BYTES", group_bytes)
    path = tmp_path / "part-0.parquet"
    with BadRowFile(path) as file:
        file.add(rows(id=[1], day=[2]), [WHY], 0)
        file.add(rows(id=[2], day=["infinity"]), [WHY], 0)
        file.add(rows(id=[3], day=[4]), [WHY], 0)
        file.publish()
    table = pq.read_table(path).sort_by("id")
    assert table.column("id").to_pylist() == [1, 2, 3]
    assert table.column("day").to_pylist() == ["2", "infinity", "4"]
    assert [each.name for each in tmp_path.iterdir()] == ["part-0.parquet"]


def test_bytes_that_spell_no_text_are_kept_as_hex() -> None:
    assert quarantine.as_text(pa.array([b"\xff\x00", None])).to_pylist() == ["ff00", None]


def test_any_table_name_is_one_folder(tmp_path: Path) -> None:
    transfer = replace(TRANSFER, quarantine=str(tmp_path))
    for name in ("..", "a/b", "ünï 🎉", 'quo"te', "C:\\x"):
        plan = replace(a_plan(replace(a_table(), name=TableName(name))), transfer=transfer)
        path = quarantine.file(plan, Partition(3))
        path.parent.mkdir(parents=True)
        assert path.parent.resolve().parent == transfer.quarantine_folder.resolve()
        path.touch()
        quarantine.remove(plan, Partition(3))
        assert list(path.parent.iterdir()) == []


def test_earlier_files_are_never_replaced(tmp_path: Path) -> None:
    plan = replace(a_plan(a_table()), transfer=replace(TRANSFER, quarantine=str(tmp_path)))
    quarantine.set_aside(plan)
    for number in range(3):
        folder = quarantine.folder(plan)
        folder.mkdir(parents=True)
        (folder / f"{number}.parquet").touch()
        quarantine.set_aside(plan)
    found = sorted(path.relative_to(folder.parent).as_posix() for path in folder.parent.glob("*/*"))
    assert found == ["orders.1/0.parquet", "orders.2/1.parquet", "orders.3/2.parquet"]


def test_rows_of_all_partitions_count_and_those_of_an_earlier_run() -> None:
    transfer = replace(TRANSFER, max_bad_rows=10)
    tally = Tally(transfer, [a_receipt(0, 100, quarantined=4)])
    tally.begin(1)
    refuse(tally, 1, 3)
    tally.begin(2)
    refuse(tally, 2, 3)
    with pytest.raises(DataError, match=r"refused 11 rows.*max_bad_rows=10.*id=0: no; row id=1"):
        refuse(tally, 1, 1)


def test_a_partition_that_begins_again_counts_once() -> None:
    tally = Tally(replace(TRANSFER, max_bad_rows=5), [])
    for _ in range(3):
        tally.begin(0)
        refuse(tally, 0, 5)


def test_a_share_is_of_the_rows_read_so_far() -> None:
    tally = Tally(replace(TRANSFER, max_bad_rows="1%"), [a_receipt(0, 900)])
    tally.begin(1)
    tally.read(1, 99)
    refuse(tally, 1, 50)  # of 999 rows
    tally.begin(1)
    tally.read(1, 1_100)
    refuse(tally, 1, 20)
    with pytest.raises(DataError, match="refused 21 rows of 2,000 read"):
        refuse(tally, 1, 1)


@pytest.mark.parametrize("nonsense", ["many", "-2", -1, "%", "1.5", "-3%", "nan%"])
def test_max_bad_rows_is_a_number_or_a_share(nonsense: int | str) -> None:
    with pytest.raises(ConfigError, match="max_bad_rows"):
        replace(TRANSFER, max_bad_rows=nonsense).allows(0, 0)
