"""pandas frames: what becomes of the index, and columns that are named like attributes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import arrowsync
from arrowsync import ConfigError

FRAME = pd.DataFrame({"id": [10, 20, 30], "region": ["n", "s", "n"], "name": ["a", "b", "c"]})
FILTERED = FRAME[FRAME.region == "n"]
HALF_NAMED = FRAME.set_index(["id", "region"]).rename_axis(["id", None])
OWN = ["id", "region", "name"]


def planned(frame: object, index: bool | None) -> Any:
    (table,) = arrowsync.plan(frame, "t.parquet", index=index).tables
    return table


def columns(frame: object, index: bool | None) -> list[str]:
    return [column.source.name for column in planned(frame, index).columns]


@pytest.mark.parametrize(
    ("frame", "named", "every", "none"),
    [
        (FRAME, OWN, ["index", *OWN], OWN),
        (FILTERED, OWN, ["index", *OWN], OWN),
        (FRAME.rename_axis("n"), ["n", *OWN], ["n", *OWN], OWN),
        (FRAME.set_index("id"), OWN, OWN, OWN[1:]),
        (FRAME.set_index(["id", "region"]), OWN, OWN, ["name"]),
        (HALF_NAMED, ["id", "name"], ["id", "level_1", "name"], ["name"]),
        (HALF_NAMED.rename_axis([None, None]), ["name"], ["level_0", "level_1", "name"], ["name"]),
        (FRAME.rename(columns={"id": "index"}), ["index", *OWN[1:]], ["level_0", "index", *OWN[1:]], None),
        (pd.DataFrame({7: [1], "x": [2]}).rename_axis(3), ["3", "7", "x"], ["3", "7", "x"], ["7", "x"]),
    ],
    ids=["counted", "filtered", "range", "level", "levels", "half", "unnamed", "taken", "numbers"],
)
def test_named_levels_of_an_index_become_columns_and_the_argument_says_otherwise(
    frame: pd.DataFrame, named: list[str], every: list[str], none: list[str] | None
) -> None:
    assert columns(frame, None) == named
    assert columns(frame, True) == every == [str(name) for name in frame.reset_index().columns]
    assert columns(frame, False) == (none or named)


@pytest.mark.parametrize(
    ("frame", "index", "name"),
    [
        (FRAME.set_index("id", drop=False), None, "id"),
        (FRAME.set_index("id", drop=False), True, "id"),
        (FRAME.set_index([FRAME["id"], FRAME["id"]])[["name"]], None, "id"),
        (FRAME.rename(columns={"id": "index", "region": "level_0"}), True, "level_0"),
    ],
)
def test_a_level_with_the_name_of_a_column_is_an_error(
    frame: pd.DataFrame, index: bool | None, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"index level '{name}'.*index=False"):
        arrowsync.plan(frame, "t.parquet", index=index)
    assert columns(frame, False) == [str(column) for column in frame.columns]


@pytest.mark.parametrize(
    ("frame", "index", "said"),
    [
        (FRAME, None, []),
        (FRAME.set_index("id"), None, ["the index becomes 'id'"]),
        (FRAME.set_index(["id", "region"]), None, ["the index becomes 'id', 'region'"]),
        (FRAME, True, ["the index becomes 'index'"]),
        (
            FRAME.set_axis([9, 5, 7]),
            None,
            ["level 0 (which has no name) of the index is left out; index=True makes a column of it"],
        ),
        (
            FRAME.set_index("id"),
            False,
            ["level 'id' of the index is left out; index=True makes a column of it"],
        ),
        (
            HALF_NAMED,
            None,
            [
                "the index becomes 'id'",
                "level 1 (which has no name) of the index is left out; index=True makes a column of it",
            ],
        ),
    ],
)
def test_the_plan_says_what_becomes_of_an_index(
    frame: pd.DataFrame, index: bool | None, said: list[str]
) -> None:
    assert list(planned(frame, index).warnings) == said


def test_an_append_after_a_filter_has_the_columns_of_the_night_before(
    tmp_path: Path, sqlite_rows: Callable[..., Any]
) -> None:
    target = tmp_path / "t.db"
    for frame in (FRAME, FILTERED, FRAME.iloc[::-1], FRAME.set_index("id")):
        mode = "append" if target.exists() else "create"
        arrowsync.copy(frame, target, table="t", mode=mode, progress=False)
    assert sqlite_rows(target, "select count(*), sum(id), min(name) from t") == [(11, 220, "a")]


def test_an_index_of_any_type_arrives_as_it_is(tmp_path: Path) -> None:
    days = pd.date_range("2024-02-28", periods=3, tz="Europe/Berlin", name="day")
    kinds = pd.CategoricalIndex(["a", "b", "a"], name="kind")
    frame = pd.DataFrame({"v": [1, 2, 3]}, index=pd.MultiIndex.from_arrays([days, kinds, [0.5, None, 1.5]]))
    target = tmp_path / "t.parquet"
    arrowsync.copy(frame, target, index=True, verify="hash", allow_lossy=True, progress=False)
    copied = pl.read_parquet(target)
    assert copied.columns == ["day", "kind", "level_2", "v"]
    assert copied["day"].dt.replace_time_zone(None).dt.day().to_list() == [28, 29, 1]
    assert copied.select("kind", "level_2", "v").rows() == [("a", 0.5, 1), ("b", None, 2), ("a", 1.5, 3)]


def test_verify_compares_the_index_that_was_copied(tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    arrowsync.copy(FILTERED, target, index=True, progress=False)
    assert arrowsync.verify(FILTERED, target, index=True).equal
    assert not arrowsync.verify(FILTERED.set_axis([1, 2]), target, index=True).equal


@pytest.mark.parametrize("source", [pl.DataFrame({"a": [1]}), "x.parquet", "sqlite:///x.db"])
def test_only_pandas_frames_have_an_index(source: object, tmp_path: Path) -> None:
    for index in (True, False):
        with pytest.raises(ConfigError, match="index is for pandas frames only"):
            arrowsync.plan(source, tmp_path / "t.parquet", index=index)
    with pytest.raises(ConfigError, match="index must be True or False, not 'id'"):
        arrowsync.plan(FRAME, tmp_path / "t.parquet", index="id")  # type: ignore[arg-type]  # what people try


def test_columns_may_have_the_names_of_attributes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"height": [1, 2], "num_rows": [3, 4], "nbytes": [5, 6], "index": [7, 8]})
    report = arrowsync.copy(frame, tmp_path / "t.parquet", verify="hash", progress=False)
    assert (report.status, report.rows_written) == ("complete", 2)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["twice", "twice"]),
        pd.DataFrame({"phase": [1 + 2j]}),
        pd.DataFrame({"label": pd.Series(["\ud800"], dtype=object)}),
        pd.Series([1]),
    ],
    ids=["one name twice", "complex numbers", "half a character", "a series"],
)
def test_what_is_no_table_is_an_error_of_arrowsync(frame: object) -> None:
    with pytest.raises(ConfigError, match=r"is no table|two columns of one name"):
        arrowsync.plan(frame, "t.parquet")
