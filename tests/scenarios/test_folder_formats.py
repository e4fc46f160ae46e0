"""A folder works with any format: here with the one of tests/ipc_files.py, which the package does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync.endpoints.files
from tests.scenarios.dying import Ended, Mortal, mortal

OLD = [-3, -2, -1]
ROWS = range(900)


def table(ids: list[int]) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "name": [f"row {number}" for number in ids]})


def ids(folder: Path) -> list[int]:
    files = (pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in folder.glob("*.arrow"))
    return sorted(number for file in files for number in file["id"].to_pylist())


def parts(folder: Path) -> dict[str, int]:
    """The committed parts that lie there, or beside it, and when they were written."""
    receipts = folder.parent.rglob(".part-*.receipt")
    named = (path.with_name(path.name.removeprefix(".").removesuffix(".receipt")) for path in receipts)
    return {path.name: path.stat().st_mtime_ns for path in named if path.exists()}


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Mortal]:
    with mortal(tmp_path / "context", arrow=True) as process:
        yield process


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_copy_into_a_folder_of_another_format_goes_on_after_every_kill_and_keeps_what_is_committed(
    mortals: Mortal, tmp_path: Path, mode: str
) -> None:
    pq.write_table(table(list(ROWS)), tmp_path / "in.parquet", row_group_size=300)
    kept = []

    def killed(die_at: int) -> Ended:
        out = mortals.folder / f"{die_at}" / "out"
        out.mkdir(parents=True)
        with pa.OSFile(f"{out}/old.arrow", "wb") as file, pa.ipc.new_file(file, table(OLD).schema) as old:
            old.write_table(table(OLD))
        return mortals.copy(tmp_path / "in.parquet", f"{out}/", die_at=die_at, mode=mode)

    for step in takewhile(lambda step: killed(step).status == "killed", count(1)):
        out = mortals.folder / f"{step}" / "out"
        before, all_in = parts(out), ids(out)[-1] == ROWS[-1]
        if all_in and not (out / ".arrowsync.json").exists():
            continue  # it was over
        assert mortals.copy(tmp_path / "in.parquet", f"{out}/", mode=mode) == Ended("complete"), step
        assert ids(out) == ([*OLD, *ROWS] if mode == "append" else list(ROWS)), step
        assert [path.name for path in out.parent.rglob(".*")] == [], step
        assert {name: (out / name).stat().st_mtime_ns for name in before} == before, step
        kept.append(len(before))
    assert set(kept) == {0, 1, 2, 3}


def test_only_the_table_of_formats_imports_one() -> None:
    [folder] = arrowsync.endpoints.files.__path__
    importing = set()
    for path in Path(folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
                importing |= {path.name for name in names if "parquet" in name}
    assert importing == {"formats.py"}
