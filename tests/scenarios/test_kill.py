"""kill -9 of the copying process at random moments: the same command ends with every row exactly once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arrowsync import Limits, Report
from tests.fix_postgresql import Database, Server
from tests.scenarios.copies import content, copy, database_of, killed_child, make_rows, newest_server

ROWS = 500_000
LIMITS: dict[str, Any] = {"partition_bytes": "2 MiB"}
# Each number is a kill after that part of the rows, written by the run that is killed; 0: as soon as the
# journal knows of the run. Several are one run after another, each of which goes on where the last one fell.
KILLS = [
    pytest.param((0.0, 0.3, 0.4), id="three"),
    *(
        pytest.param((random.Random(n).random(),), id=f"random-{n}", marks=pytest.mark.slow)
        for n in range(18)
    ),
    *(pytest.param((part,), id=f"at-{part:.0%}", marks=pytest.mark.slow) for part in (0.0, 1.0)),
]


@pytest.fixture(scope="module", params=[True, False], ids=["keyed", "no-key"])
def source(request: pytest.FixtureRequest, postgresql_server: Server) -> Iterator[Database]:
    with database_of(postgresql_server) as database:
        make_rows(database, ROWS, keyed=request.param)
        yield database


def kill_then_copy(source: Database, target: str, kills: tuple[float, ...]) -> Report:
    told: dict[str, Any] = {"table": "t", "limits": LIMITS, "workers": 2}
    for part in kills:
        after = random.Random(part).uniform(0, 0.05) * (1 - part)  # late in the copy it would have ended
        killed_child(source.uri, target, kill_at=int(part * ROWS), kill_after=after, **told)
    return copy(source.uri, target, **{**told, "limits": Limits(**LIMITS)}, verify="hash")


@newest_server
@pytest.mark.parametrize("kills", KILLS)
def test_a_copy_into_postgresql_goes_on_where_it_was_killed(
    source: Database, postgresql: Database, kills: tuple[float, ...]
) -> None:
    report = kill_then_copy(source, postgresql.uri, kills)
    assert content(postgresql) == content(source)
    [(status, partitions, left)] = postgresql.execute(
        "select status, state::json #>> '{totals,partitions}', (select count(*) from arrowsync.receipts) "
        "from arrowsync.transfers"
    )
    assert (status, int(partitions), left) == ("complete", report.partitions, 0)
    check(report, kills)


@newest_server
@pytest.mark.parametrize("kills", KILLS)
def test_a_copy_into_sqlite_goes_on_where_it_was_killed(
    source: Database,
    tmp_path: Path,
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    kills: tuple[float, ...],
) -> None:
    path = tmp_path / "target.db"
    report = kill_then_copy(source, str(path), kills)
    stored = sqlite_rows(path, "select count(*), count(distinct id), sum(id), sum(length(name)) from t")
    assert stored == source.execute(
        "select count(*), count(distinct id), sum(id)::int8, sum(length(name)) from t"
    )
    assert sqlite_rows(path, "select name from sqlite_master where name like 'arrowsync%'") == []
    assert [each.name for each in tmp_path.iterdir()] == ["target.db"]
    check(report, kills)


def check(report: Report, kills: tuple[float, ...]) -> None:
    assert report.partitions > 8
    assert report.rows_written == ROWS
    assert report.verified == "hash"
    assert report.warnings == ()
    # An earlier kill may come before the first commit, or after it.
    assert report.partitions_resumed > 0 or sum(kills) <= 0.2
