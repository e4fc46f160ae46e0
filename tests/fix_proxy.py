"""A TCP proxy on loopback that stalls, drops and cuts connections; it knows nothing of what they carry."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

import pytest

from tests.fix_postgresql import Server

PIECE_BYTES = 64 * 1024
NEVER = sys.maxsize  # more bytes than a test forwards


class Proxy:
    """Forwards what comes to its port. `with` owns its threads: one that accepts, two a connection."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0  # accepted so far
        self.bytes_forwarded = 0  # both ways, over all connections
        self._cut_at = NEVER
        self._stalled = self._closed = False
        self._changed = threading.Condition()  # guards everything here
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def stall(self) -> None:
        """Forward nothing from now on, yet keep and accept connections."""
        with self._changed:
            self._stalled = True

    def resume(self) -> None:
        """Forward again, beginning with what was held back."""
        with self._changed:
            self._stalled = False
            self._changed.notify_all()

    def drop(self) -> None:
        """Close every connection there is now; new ones pass."""
        with self._changed:
            hang_up(self._sockets)

    def cut_after(self, byte_count: int) -> None:
        """Forward so many bytes more, then drop() once."""
        with self._changed:
            self._cut_at = self.bytes_forwarded + byte_count

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        socket.create_connection(
            ("127.0.0.1", self.port)
        ).close()  # wakes accept(); only Linux's shutdown() would
        self._threads[0].join()  # from here on no connection is added
        hang_up(self._sockets)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _run(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, name="proxy"))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                return client.close()
            try:
                server = socket.create_connection(self._upstream)
            except OSError:  # the server is down, and the client is to see it
                client.close()
                continue
            with self._changed:
                self.connections += 1
                self._sockets += [client, server]
            self._run(self._pump, client, server)
            self._run(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """One direction of a connection; as in TCP, the other lives on when this one ends."""
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # hung up
            while data := source.recv(PIECE_BYTES):
                self._forward(data, sink)
            sink.shutdown(socket.SHUT_WR)

    def _forward(self, data: bytes, sink: socket.socket) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._stalled)
            cut = self.bytes_forwarded + len(data) >= self._cut_at
            if cut:
                data, self._cut_at = data[: self._cut_at - self.bytes_forwarded], NEVER
            self.bytes_forwarded += len(data)
        sink.sendall(data)  # may block: another direction must not wait for it
        if cut:
            self.drop()
            raise ConnectionAbortedError  # what the kernel still holds of the source would pass


def hang_up(sockets: list[socket.socket]) -> None:
    """Wakes whoever reads from or writes to them, which close() would not."""
    for each in sockets:
        with suppress(OSError):  # the other side was faster
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def postgresql_proxy(postgresql_server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server: `server.uri(database, port=proxy.port)` goes through it."""
    with Proxy(postgresql_server.host, postgresql_server.port) as proxy:
        yield proxy
