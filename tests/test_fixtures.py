"""Proves that the fixtures do what the tests built on them take for granted."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.fix_postgresql import INSTALLATIONS, Database, Server, free_port
from tests.fix_proxy import Proxy


def connect(server: Server, proxy: Proxy) -> psycopg.Connection:
    return psycopg.connect(server.uri(port=proxy.port), autocommit=True)


def test_a_database_is_empty_and_utf8(postgresql: Database) -> None:
    assert postgresql.execute("show server_encoding") == [("UTF8",)]
    assert postgresql.execute(
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    ) == [(0,)]


def test_two_databases_of_a_test_are_apart(new_database: Callable[..., Database]) -> None:
    first, second = new_database(), new_database(encoding="LATIN1")
    first.execute("create table t (n int); insert into t values (1)")
    assert first.execute("select n from t where n = %s", (1,)) == [(1,)]
    assert second.execute("select to_regclass('t')") == [(None,)]
    assert second.execute("show server_encoding") == [("LATIN1",)]


def test_a_wrong_password_is_refused(postgresql: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgresql.server.uri(postgresql.name, password="wrong")).close()


def test_a_new_role_may_log_in_and_do_nothing(postgresql: Database, new_role: Callable[[str], str]) -> None:
    postgresql.execute("create table t ()")
    uri = postgresql.server.uri(postgresql.name, user=new_role("p@ss:word/%"), password="p@ss:word/%")
    with psycopg.connect(uri) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from t")


def test_a_restarted_server_keeps_its_port_and_its_data(postgresql: Database) -> None:
    postgresql.execute("create table t as select 1 as n")
    with psycopg.connect(postgresql.uri) as connection:
        postgresql.server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert postgresql.execute("select n from t") == [(1,)]


def test_a_stopped_server_refuses_connections_until_the_next_database(postgresql: Database) -> None:
    postgresql.server.stop()
    # The kernel may let one more in while the last process ends.
    with pytest.raises(psycopg.OperationalError, match=r"refused|closed the connection"):
        psycopg.connect(postgresql.uri).close()


@pytest.mark.skipif(not INSTALLATIONS, reason="a given server is not ours to kill")
def test_neither_a_server_nor_its_folder_outlives_a_killed_test_run() -> None:
    script = """if True:
        import time
        from tests.fix_postgresql import INSTALLATIONS, server_of
        with server_of(INSTALLATIONS[0]) as server:
            print(server.folder, flush=True)
            time.sleep(60)
    """
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        postmaster = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        run.kill()
    postmaster.wait(timeout=10)
    until = time.monotonic() + 10
    while folder.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_python_reads_a_sqlite_file_made_in_a_child(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[..., list[tuple[object, ...]]]
) -> None:
    path = sqlite_file(
        "create table t (a, b); insert into t values (1, 'ä'), (2.5, x'00ff'), (null, cast(x'ff' as text))"
    )
    assert sqlite_rows(path, "select * from t") == [(1, "ä"), (2.5, b"\x00\xff"), (None, "\udcff")]


def test_a_function_fills_a_sqlite_file(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[..., list[tuple[object, ...]]]
) -> None:
    path = sqlite_file("create table t (n integer)", name="numbers.db")
    sqlite_file(
        lambda c: c.executemany("insert into t values (?)", [(n,) for n in range(1000)]), name="numbers.db"
    )
    assert sqlite_rows(path, "select count(*), sum(n) from t") == [(1000, 499_500)]


def test_a_mistake_in_the_child_is_an_error_here(sqlite_file: Callable[..., Path]) -> None:
    with pytest.raises(RuntimeError, match="no such table: missing"):
        sqlite_file("insert into missing values (1)")


def test_a_proxy_passes_big_results(postgresql_server: Server, postgresql_proxy: Proxy) -> None:
    with connect(postgresql_server, postgresql_proxy) as connection:
        (text,) = connection.execute("select repeat('x', 10000000)").fetchone() or ("",)
    assert len(text) == 10_000_000
    assert postgresql_proxy.connections == 1
    assert postgresql_proxy.bytes_forwarded > 10_000_000


def test_a_stalled_proxy_holds_back_until_resumed(postgresql_server: Server, postgresql_proxy: Proxy) -> None:
    with connect(postgresql_server, postgresql_proxy) as connection:
        postgresql_proxy.stall()
        resume = threading.Timer(0.3, postgresql_proxy.resume)
        began = time.monotonic()
        resume.start()
        assert connection.execute("select 1").fetchone() == (1,)
        assert time.monotonic() - began >= 0.3
        resume.join()


def test_a_dropped_connection_fails_and_the_next_passes(
    postgresql_server: Server, postgresql_proxy: Proxy
) -> None:
    with connect(postgresql_server, postgresql_proxy) as connection:
        postgresql_proxy.drop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with connect(postgresql_server, postgresql_proxy) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_cut_comes_at_its_byte_and_only_once(postgresql_server: Server, postgresql_proxy: Proxy) -> None:
    with connect(postgresql_server, postgresql_proxy) as connection:
        before = postgresql_proxy.bytes_forwarded
        postgresql_proxy.cut_after(100_000)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select repeat('x', 10000000)")
        assert postgresql_proxy.bytes_forwarded == before + 100_000
    with connect(postgresql_server, postgresql_proxy) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_no_thread_outlives_a_stalled_proxy(postgresql_server: Server) -> None:
    before = set(threading.enumerate())
    with (
        Proxy(postgresql_server.host, postgresql_server.port) as proxy,
        closing(connect(postgresql_server, proxy)) as connection,
    ):
        proxy.stall()
        connection.pgconn.send_query(b"select 1")
    assert set(threading.enumerate()) <= before


def test_a_proxy_of_a_stopped_server_hangs_up() -> None:
    with (
        Proxy("127.0.0.1", free_port()) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        assert client.recv(1) == b""
