"""The server that only a measurement reads: real drivers take it for one, and nothing waits for it long."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

import arrowsync
from arrowsync.diagnostics import fake_postgresql
from arrowsync.diagnostics.fake_postgresql import QUERY, ROWS, VALUES, serving
from arrowsync.endpoints.connections import BareAdbcConnection

STARTUP = struct.pack("!ii", 8, 3 << 16)


@contextmanager
def talking() -> Iterator[socket.socket]:
    """A client of the test's own, greeted."""
    with serving() as uri:
        parts = urlsplit(uri)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as client:
            client.sendall(STARTUP)
            greeting = b""
            while not greeting.endswith(b"Z\x00\x00\x00\x05I"):
                greeting += client.recv(1000)
            yield client


def connected(uri: str) -> BareAdbcConnection:
    return BareAdbcConnection(arrowsync.Database(uri).address, read_only=True)


def everything(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1000), b""))


def test_a_driver_reads_its_table_as_of_a_real_server() -> None:
    with serving() as uri, connected(uri) as connection:
        for _ in range(2):
            with connection.stream(QUERY, {}) as batches:
                rows = [row for batch in batches for row in batch.slice(0, 1).to_pylist()]
                row = list(rows[0].values())[:4]
            assert [str(value) for value in row] == [
                "1234567890123",
                "12345.67",
                "a note of some length",
                "2024-08-22",
            ]


def test_it_has_as_many_rows_as_it_says() -> None:
    with (
        serving() as uri,
        connected(uri) as connection,
        connection.stream(QUERY, {}) as batches,
    ):
        sizes = [(batch.num_rows, batch.num_columns) for batch in batches]
    assert sum(rows for rows, _ in sizes) == ROWS
    assert sum(rows * columns for rows, columns in sizes) == VALUES


def test_variables_for_real_servers_do_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOSTADDR": "192.0.2.1", "PGSSLMODE": "verify-full", "PGPORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with serving() as uri, connected(uri) as connection:
        assert connection.about()["vendor_version"] == "180000"


def test_what_it_does_not_know_it_refuses_and_hangs_up() -> None:
    with talking() as client:
        client.sendall(b"Q" + struct.pack("!i", 13) + b"select 1\0")
        answer = everything(client)
    assert answer[:1] == b"E"
    assert b"select 1" in answer


def test_a_silent_client_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_postgresql, "PATIENCE_SECONDS", 0.1)
    start = time.monotonic()
    with talking() as client:
        assert everything(client) == b""
    assert time.monotonic() - start < 10


def test_a_query_that_it_does_not_know_is_an_error_of_ours() -> None:
    with (
        serving() as uri,
        connected(uri) as connection,
        pytest.raises(arrowsync.ArrowsyncError),
    ):
        connection.rows("listen something")
