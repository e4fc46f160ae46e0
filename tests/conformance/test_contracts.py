"""Every endpoint keeps the contract of a Source, and of a Sink where it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.contract import SinkContract, SourceContract
from tests.conformance.endpoints import Endpoint, InMemory, InOneFile, InParquet, InSQL
from tests.conformance.places import PostgreSQLPlace, SQLitePlace
from tests.conformance.stranger import StrangerPlace


class TestPostgreSQL(SinkContract):
    @pytest.fixture
    def endpoint(self, new_database: Callable[..., Any]) -> Endpoint:
        return InSQL(PostgreSQLPlace(new_database()))


class TestSQLite(SinkContract):
    @pytest.fixture
    def endpoint(
        self, tmp_path: Path, sqlite_file: Callable[..., Path], sqlite_rows: Callable[..., Any]
    ) -> Endpoint:
        return InSQL(SQLitePlace(tmp_path / "here.db", sqlite_file, sqlite_rows))


class TestParquetFile(SinkContract):
    @pytest.fixture
    def endpoint(self, tmp_path: Path) -> Endpoint:
        return InOneFile(tmp_path / "orders.parquet")


class TestParquetFolder(SinkContract):
    @pytest.fixture
    def endpoint(self, tmp_path: Path) -> Endpoint:
        return InParquet(tmp_path / "orders")


class TestFrame(SourceContract):
    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return InMemory()


class TestAnyDriver(SinkContract):
    @pytest.fixture
    def endpoint(self, tmp_path: Path) -> Endpoint:
        return InSQL(StrangerPlace(tmp_path / "stranger.duckdb"))
