"""Source and target under two addresses: a table is not copied into itself, by whatever name its place goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arrowsync import ConfigError
from tests.fix_postgresql import Database, LocalServer, Server, twin_of
from tests.fix_proxy import Proxy
from tests.scenarios.copies import copy, make_rows, newest_server

ROWS = 100


@pytest.fixture
def own_server(postgresql_server: Server) -> LocalServer:
    if not isinstance(postgresql_server, LocalServer):
        pytest.skip("a server that is not ours cannot be doubled")
    return postgresql_server


def by_another_port(database: Database, proxy: Proxy) -> str:
    return database.server.uri(database.name, port=proxy.port)


@newest_server
def test_a_table_is_not_added_to_itself_by_way_of_another_port(
    postgresql: Database, postgresql_proxy: Proxy
) -> None:
    make_rows(postgresql, ROWS)
    with pytest.raises(ConfigError, match="the same table"):
        copy(by_another_port(postgresql, postgresql_proxy), postgresql.uri, mode="append")
    assert postgresql.execute("select count(*) from t") == [(ROWS,)]


@newest_server
def test_a_table_is_not_added_to_itself_by_way_of_the_socket(
    postgresql: Database, own_server: LocalServer
) -> None:
    make_rows(postgresql, ROWS)
    place = f"postgresql://postgres@/{postgresql.name}?host={own_server.folder}/data&port={own_server.port}"
    with pytest.raises(ConfigError, match="the same table"):
        copy(place, postgresql.uri, mode="append")


@newest_server
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_another_table_of_the_same_database_is_copied(
    postgresql: Database, postgresql_proxy: Proxy, mode: str
) -> None:
    make_rows(postgresql, ROWS)
    postgresql.execute("create table u (id bigint references t, amount int, name text)")
    place = by_another_port(postgresql, postgresql_proxy)
    assert copy(place, postgresql.uri, target_table="u", mode=mode).rows_written == ROWS


@newest_server
def test_the_same_name_in_another_database_of_the_server_is_copied(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    assert copy(source.uri, target.uri).rows_written == ROWS


@newest_server
def test_a_table_is_not_added_to_itself_by_way_of_a_standby(
    postgresql: Database, own_server: LocalServer
) -> None:
    make_rows(postgresql, ROWS)
    with twin_of(own_server, follows=True) as standby:
        with pytest.raises(ConfigError, match="the same table"):
            copy(standby.uri(postgresql.name), postgresql.uri, mode="append")
        assert copy(standby.uri(postgresql.name), postgresql.uri, target_table="u").rows_written == ROWS
    assert postgresql.execute("select count(*) from t") == [(ROWS,)]


@newest_server
def test_rows_go_back_from_a_clone_of_the_server(postgresql: Database, own_server: LocalServer) -> None:
    make_rows(postgresql, ROWS)
    with twin_of(own_server, follows=False) as clone:
        postgresql.execute("truncate t")
        assert copy(clone.uri(postgresql.name), postgresql.uri, mode="append").rows_written == ROWS


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_a_sqlite_file_is_not_copied_into_itself_by_way_of_a_link(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    tmp_path: Path,
    link: str,
) -> None:
    path, other = sqlite_file("create table t (id int); insert into t values (1)"), tmp_path / "other.db"
    other.hardlink_to(path) if link == "hard" else other.symlink_to(path)
    with pytest.raises(ConfigError, match="the same table"):
        copy(str(other), str(path), mode="append")
    with pytest.raises(ConfigError, match="read and written at once"):
        copy(str(other), str(path), target_table="u")
    assert sqlite_rows(path, "select count(*) from t") == [(1,)]


@newest_server
@pytest.mark.parametrize(
    "spelt", ["{0}/*.parquet", "{0}/../alias", "{0}/../alias/*.parquet", "{0}/../hard.parquet"]
)
def test_parquet_files_are_not_added_to_themselves_by_whatever_path(
    postgresql: Database, tmp_path: Path, spelt: str
) -> None:
    make_rows(postgresql, ROWS)
    folder = tmp_path / "folder"
    copy(postgresql.uri, f"{folder}/")
    (tmp_path / "alias").symlink_to(folder)
    (tmp_path / "hard.parquet").hardlink_to(next(folder.glob("*.parquet")))
    with pytest.raises(ConfigError, match="the same table"):
        copy(spelt.format(folder), f"{folder}/", mode="append", table=None)
