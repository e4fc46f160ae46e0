"""What users give as a source or target, and what they are told where it cannot be one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import polars as pl
import pytest

from arrowsync import Database
from arrowsync.endpoints import endpoint, storage
from arrowsync.errors import ConfigError


def rows() -> Iterator[int]:
    yield 1


class Engine:
    """By its name alone one of SQLAlchemy's is known."""


def test_a_lazy_frame_is_answered_with_the_two_calls_that_make_it_readable() -> None:
    frame = pl.LazyFrame({"a": [1]})
    with pytest.raises(ConfigError) as caught:
        endpoint(frame)
    assert str(caught.value) == (
        "a LazyFrame cannot be read directly: call .collect(), or pass .collect_batches()"
    )
    assert [str(name) for name in endpoint(frame.collect()).names()] == ["frame"]
    assert [str(name) for name in endpoint(frame.collect_batches()).names()] == ["frame"]


@pytest.mark.parametrize(
    ("value", "what", "way"),
    [
        ({"a": [1]}, "a dict", "polars.DataFrame"),
        ([{"a": 1}], "a list", "pyarrow.Table.from_pylist"),
        (rows(), "a generator", "pyarrow.RecordBatchReader.from_batches"),
        (Engine(), "an Engine", "render_as_string"),
        (3, "an int", "Give a URI, a path or a frame; there are SQLite, PostgreSQL and Parquet"),
    ],
    ids=["dict", "list", "generator", "engine", "int"],
)
def test_another_value_is_answered_with_the_way_to_make_a_source_of_it(
    value: object, what: str, way: str
) -> None:
    for made in (endpoint, storage):
        with pytest.raises(ConfigError, match=f"^{what} is not a database, a file or a frame") as caught:
            made(value)
        assert way in str(caught.value.hint)


def test_an_open_connection_is_answered_with_the_uri_that_it_was_opened_with() -> None:
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(ConfigError, match="Give the URI or path that it was opened with"),
    ):
        endpoint(connection)


@pytest.mark.parametrize(
    ("path", "reader"),
    [("a.csv", "polars.read_csv"), ("b.XLSX", "polars.read_excel"), ("c.orc", "pyarrow.orc")],
)
def test_a_file_of_another_format_is_answered_with_what_reads_it(path: str, reader: str) -> None:
    with pytest.raises(ConfigError, match=f"'{path}' is not supported yet") as caught:
        endpoint(path)
    assert reader in str(caught.value.hint)


def test_a_frame_as_a_target_is_answered_with_the_stream_that_reads_into_memory() -> None:
    with pytest.raises(ConfigError, match=r"a DataFrame cannot be written to.*stream\(…\).read_all\(\)"):
        storage(pl.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"uri": b"postgresql://me:secret@h/d"}, "uri must be a text or a path, not of type bytes"),
        ({"uri": "a.db", "driver": 3}, "driver must be a library's name or path, or a Driver, not 3"),
        ({"uri": "a.db", "dialect": "sqlite"}, "dialect must be a Dialect, not 'sqlite'"),
    ],
    ids=["uri", "driver", "dialect"],
)
def test_a_database_says_what_its_fields_must_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(**arguments)
    assert caught.value.message == message
