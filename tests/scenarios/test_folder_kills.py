"""Copies into Parquet that die before each change of a name: the old rows or the new ones are always there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from tests.scenarios.dying import Ended, Mortal, mortal

OLD = [-3, -2, -1]
FIRST = range(900)
OTHER = range(10_000, 10_900)


def write(path: Path, ids: Any) -> Path:
    rows = {"id": pa.array(ids, pa.int64()), "name": [f"row {number}" for number in ids]}
    pq.write_table(pa.table(rows), path, row_group_size=300)
    return path


def ids(place: Path) -> list[int]:
    """What the files of a folder hold, or a file, as any other reader finds them."""
    files = [path for path in place.glob("*.parquet") if path.name[0] != "."] if place.is_dir() else [place]
    return sorted(number for file in files for number in pq.ParquetFile(file).read()["id"].to_pylist())


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


class Walk:
    """A target in a folder of its own, which holds OLD at first, or nothing; and copies into it that die."""

    def __init__(self, mortals: Mortal, place: str, *, old: bool) -> None:
        self.mortals = mortals
        self.root = mortals.folder
        self.place = f"{self.root}/{place}"
        self.path = Path(self.place)
        self.sources = {
            name: write(self.root.parent / f"{name}.parquet", rows)
            for name, rows in (("first", FIRST), ("other", OTHER))
        }
        self.old = old
        self.saved = self.root.parent / "saved"

    def fresh(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        if self.old and self.place.endswith("/"):
            self.path.mkdir()
            write(self.path / "old.parquet", OLD)
        elif self.old:
            write(self.path, OLD)

    def save(self) -> None:
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.root, self.saved)

    def back(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.saved, self.root)

    def copy(self, source: str, die_at: int = 0, **told: Any) -> Ended:
        return self.mortals.copy(self.sources[source], self.place, die_at=die_at, **told)

    def versions(self) -> set[str]:
        """Which whole versions lie around, at the target's name or at another one."""
        files = self.root.rglob("*.parquet")
        found = [set(ids(place)) for place in {file.parent for file in files} | {self.path} if place.exists()]
        named = {"old": OLD, "first": FIRST, "other": OTHER}
        return {name for name, rows in named.items() if any(set(rows) <= each for each in found)}


def dying(copy: Any) -> Iterator[int]:
    """1, 2, … until a copy that would die there has come to its end before."""
    return takewhile(lambda die_at: copy(die_at).status == "killed", count(1))


@pytest.fixture
def exchanges() -> bool:
    """Whether the system can exchange names."""
    return True


@pytest.fixture
def mortals(exchanges: bool, tmp_path: Path) -> Iterator[Mortal]:
    with mortal(tmp_path / "around", exchanges=exchanges) as process:
        yield process


@pytest.mark.parametrize(("place", "exchanges"), [("out/", True), ("out/", False), ("out.parquet", True)])
def test_replace_that_is_killed_at_any_step_keeps_one_version_and_the_same_command_ends_it(
    mortals: Mortal, place: str
) -> None:
    walk = Walk(mortals, place, old=True)

    def killed(die_at: int) -> Ended:
        walk.fresh()
        return walk.copy("first", die_at, mode="replace")

    steps = 0
    for step in dying(killed):
        steps = step
        assert walk.versions(), step
        assert walk.copy("first", mode="replace") == Ended("complete"), step
        assert (ids(walk.path), hidden(walk.root)) == (list(FIRST), []), step
    assert steps > 5


@pytest.mark.parametrize("place", ["out/", "out.parquet"])
def test_create_that_is_killed_at_any_step_is_ended_by_another_source_that_starts_over(
    mortals: Mortal, place: str
) -> None:
    walk = Walk(mortals, place, old=False)

    def killed(die_at: int) -> Ended:
        walk.fresh()
        return walk.copy("first", die_at, mode="create")

    for step in dying(killed):
        ended = walk.copy("other", mode="create", restart=True)
        if ended.status != "complete":  # it was killed when all was done
            assert "holds rows" in ended.error, step
            assert ids(walk.path) == list(FIRST), step
        else:
            assert (ids(walk.path), hidden(walk.root)) == (list(OTHER), []), step


def test_an_append_that_is_given_up_takes_its_parts_away_and_no_others(mortals: Mortal) -> None:
    walk = Walk(mortals, "out/", old=True)

    def killed(die_at: int) -> Ended:
        walk.fresh()
        return walk.copy("first", die_at, mode="append")

    ended = []
    for step in dying(killed):
        assert walk.copy("other", mode="append", restart=True) == Ended("complete"), step
        assert hidden(walk.root) == [], step
        ended.append(ids(walk.path))
    given_up, finished = [*OLD, *OTHER], [*OLD, *FIRST, *OTHER]
    assert ended.count(given_up) > 8
    assert ended == sorted(ended, key=len)  # once all is done, nothing is given up any more
    assert all(rows in (given_up, finished) for rows in ended)


PAIRS = [
    (True, "replace", "first", "replace", False),
    (False, "replace", "first", "replace", False),
    (True, "replace", "first", "replace", True),
    (False, "replace", "first", "replace", True),
    (True, "replace", "other", "replace", True),
    (False, "replace", "other", "replace", True),
    (True, "append", "other", "replace", True),
    (True, "create", "other", "replace", True),
    (True, "create", "other", "create", True),
    (True, "create", "first", "create", True),
]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("exchanges", "mode", "source", "second", "restart"), PAIRS)
def test_after_every_pair_of_kills_one_version_is_there_and_the_command_can_be_ended(
    mortals: Mortal, mode: str, source: str, second: str, restart: bool
) -> None:
    walk = Walk(mortals, "out/", old=mode != "create")
    rows = list(FIRST if source == "first" else OTHER)

    def killed(die_at: int) -> Ended:
        walk.fresh()
        return walk.copy("first", die_at, mode=mode)

    def killed_again(die_at: int) -> Ended:
        walk.back()
        return walk.copy(source, die_at, mode=second, restart=restart)

    for step in dying(killed):
        walk.save()
        for again in dying(killed_again):
            assert walk.versions() or mode == "create", (step, again)
            ended = walk.copy(source, mode=second)
            if ended.status == "ResumeError":  # two of them are unfinished
                assert "--restart" in ended.error, (step, again)
                ended = walk.copy(source, mode=second, restart=True)
            if "holds rows" in ended.error:  # killed when all was done
                assert second == "create", (step, again)
                assert ids(walk.path) in (list(FIRST), rows), (step, again)
                continue
            assert ended == Ended("complete"), (step, again)
            assert (ids(walk.path), hidden(walk.root)) == (rows, []), (step, again)


@pytest.fixture
def taken_away(tmp_path: Path) -> Iterator[Walk]:
    """A folder whose old version was taken away when its replace was killed."""
    with mortal(tmp_path / "around", exchanges=False) as process:
        walk = Walk(process, "out/", old=True)
        for step in count(1):
            walk.fresh()
            assert walk.copy("first", step, mode="replace") == Ended("killed")
            if not walk.path.exists():
                break
        yield walk


def test_a_plan_shows_what_will_be_put_back_and_writes_nothing(taken_away: Walk) -> None:
    before = sorted(taken_away.root.rglob("*"))
    plan = arrowsync.plan(taken_away.sources["other"], taken_away.place, mode="append", restart=True)
    assert plan.tables[0].write.exists
    assert any("put back first" in warning for warning in plan.warnings)
    assert sorted(taken_away.root.rglob("*")) == before


@pytest.mark.parametrize("spelled", ["out/", "out"])
def test_a_folder_that_was_taken_away_is_still_read(taken_away: Walk, spelled: str, tmp_path: Path) -> None:
    report = arrowsync.copy(f"{taken_away.root}/{spelled}", tmp_path / "b.parquet", progress=False)
    assert (report.rows_written, ids(tmp_path / "b.parquet")) == (3, OLD)


def test_a_restart_that_is_killed_early_loses_nothing_of_a_folder_that_was_taken_away(
    taken_away: Walk,
) -> None:
    taken_away.save()
    for step in range(1, 12):
        taken_away.back()
        assert taken_away.copy("first", step, mode="replace", restart=True) == Ended("killed")
        assert taken_away.versions(), step
        assert taken_away.copy("first", mode="replace") == Ended("complete"), step
        assert (ids(taken_away.path), hidden(taken_away.root)) == (list(FIRST), []), step


def test_create_does_not_take_a_folder_that_was_taken_away_for_absent(taken_away: Walk) -> None:
    ended = taken_away.copy("other", mode="create", restart=True)
    assert "holds rows" in ended.error
    assert taken_away.copy("other", mode="append", restart=True) == Ended("complete")
    assert ids(taken_away.path) == [*OLD, *OTHER]
