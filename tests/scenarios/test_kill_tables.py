"""kill -9 of a copy of six tables, again and again: the same command ends with every row exactly once."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import arrowsync
from tests.fix_postgresql import Database, Server
from tests.scenarios.copies import child, database_of, make_rows, newest_server

ROWS = 20_000  # of each table
NAMES = [f"t{number}" for number in range(6)]
KILLS = 20
BAD = 7  # rows of t3 that the target refuses
TOLD: dict[str, Any] = {"workers": 2, "limits": {"partition_bytes": "256 KiB", "batch_rows": 1_000}}

pytestmark = [newest_server, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[True, False], ids=["keyed", "no-key"])
def source(request: pytest.FixtureRequest, postgresql_server: Server) -> Iterator[Database]:
    """Six tables, three of which refer to the one before where they have keys."""
    with database_of(postgresql_server) as database:
        for name in NAMES:
            make_rows(database, ROWS, name=name, keyed=request.param)
        if request.param:
            for child, parent in (("t1", "t0"), ("t2", "t1"), ("t5", "t4")):
                database.execute(f"alter table {child} add foreign key (id) references {parent}")
        database.execute(f"update t3 set amount = -1 where id <= {BAD}")
        yield database


def killed_often(source: str, target: str, seed: int, **told: Any) -> tuple[int, dict[str, Any]]:
    """Kill one run after another, each at a moment of its own, then let one end: the kills, and its report."""
    chance = random.Random(seed)
    for kills in range(KILLS + 1):
        # Sooner than a run needs for all: the moments wander over begin, rows, publish and mark.
        at = {"kill_at": chance.randrange(0, 5_000), "kill_after": chance.uniform(0, 0.05)}
        with child(source, target, verify="hash", **(at if kills < KILLS else {}), **told) as process:
            words, _ = process.communicate(timeout=120)
            if process.returncode != -9:
                return kills, json.loads(words.splitlines()[-1])
    raise AssertionError("the last run was not to be killed")


def check(report: dict[str, Any], kills: int, bad: int = 0, rows: int = len(NAMES) * ROWS) -> None:
    assert "error" not in report, report
    assert kills > KILLS // 2
    assert (report["rows_written"], report["rows_quarantined"]) == (rows - bad, bad)
    assert report["status"] == ("partial" if bad else "complete")
    assert report["rows_resumed"] > 0


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_six_tables_go_over_into_postgresql_once(
    source: Database, postgresql: Database, tmp_path: Path, mode: str
) -> None:
    for name in NAMES if mode != "create" else ():
        make_rows(postgresql, 0, name=name, keyed=False)
    bad = BAD if mode == "append" else 0
    if bad:
        postgresql.execute("alter table t3 add constraint sane check (amount >= 0)")
    told = {**TOLD, "mode": mode, "quarantine": str(tmp_path / "bad")}
    kills, report = killed_often(source.uri, postgresql.uri, seed=1, **told)
    for name in NAMES:
        expected = ROWS - bad if name == "t3" else ROWS
        [found] = postgresql.execute(f"select count(*)::int, count(distinct id)::int from {name}")
        assert (name, found) == (name, (expected, expected))
    check(report, kills, bad)
    assert postgresql.execute("select count(*)::int from arrowsync.receipts") == [(0,)]
    assert postgresql.execute(
        "select distinct status from arrowsync.transfers where target_table <> 'public.t3'"
    ) == [("complete",)]


@pytest.mark.parametrize("mode", ["create", "append"])
def test_six_tables_go_over_into_sqlite_once(
    source: Database,
    tmp_path: Path,
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    mode: str,
) -> None:
    path = tmp_path / "target.db"
    bad = BAD if mode == "append" else 0
    if mode == "append":
        columns = "(id integer, amount int check (amount >= 0), name text)"
        sqlite_file("".join(f"create table {name} {columns};" for name in NAMES), path.name)
    told = {**TOLD, "mode": mode, "quarantine": str(tmp_path / "bad")}
    kills, report = killed_often(source.uri, str(path), seed=2, **told)
    for name in NAMES:
        expected = ROWS - bad if name == "t3" else ROWS
        found = sqlite_rows(path, f"select count(*), count(distinct id) from {name}")
        assert (name, found) == (name, [(expected, expected)])
    check(report, kills, bad)
    assert sqlite_rows(path, "select name from sqlite_master where name like 'arrowsync%'") == []


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_table_goes_over_into_a_folder_once(source: Database, tmp_path: Path, mode: str) -> None:
    folder, before = f"{tmp_path}/parts/", 0
    if mode != "create":
        arrowsync.copy(source.uri, folder, table="t0", where="id > 19900", progress=False)
        before = 100 if mode == "append" else 0
    told = {**TOLD, "mode": mode, "table": "t0"}
    kills, report = killed_often(source.uri, folder, seed=3, **told)
    assert kills > 0
    assert (report["rows_written"], report["status"]) == (ROWS, "complete")
    [table] = arrowsync.inspect(folder)
    assert table.rows == ROWS + before
    rows = pq.read_table(folder, columns=["id"])["id"]
    assert pc.count_distinct(rows).as_py() == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
