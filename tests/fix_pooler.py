"""Connection poolers in front of a server: PgBouncer where it is found, and a small one of our own everywhere.

The small one knows as much of PostgreSQL's protocol as it takes to tell one client's transaction from another's.
"""

import os
import secrets
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

import psycopg
import pytest

from tests.fix_postgresql import GUARD, PATIENCE_SECONDS, Server, free_port, server_user
from tests.fix_proxy import hang_up

Mode = Literal["session", "transaction", "statement"]
PGBOUNCER = shutil.which(
    "pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
)
TOLD = ("server_version", "server_encoding", "client_encoding", "DateStyle", "integer_datetimes", "TimeZone")
NO_TRANSACTIONS = b"SFATAL\0C08P01\0Mtransaction blocks not allowed in statement pooling mode\0\0"
STARTUP, CANCEL = 196_608, 80_877_102  # a version of the protocol, and what stands in its place


class Backend:
    """A server connection: libpq logs in, from then on messages pass through its socket as they are."""

    def __init__(self, uri: str) -> None:
        self._connection = psycopg.pq.PGconn.connect(uri.encode())
        assert self._connection.status == psycopg.pq.ConnStatus.OK, self._connection.get_error_message()
        self.told = {name: self._connection.parameter_status(name.encode()) or b"" for name in TOLD}
        self.socket = socket.socket(fileno=os.dup(self._connection.socket))
        self.socket.setblocking(True)  # libpq has set TCP_NODELAY
        self.messages = self.socket.makefile("rb")

    def run(self, sql: str) -> None:
        self.socket.sendall(_message(b"Q", sql.encode() + b"\0"))
        while _read(self.messages)[0:1] != b"Z":
            pass


class SmallPooler:
    """Lends `size` server connections a database, the last one given back first: for a session or transaction."""

    def __init__(self, server: Server, mode: Mode, size: int) -> None:
        self._server = server
        self._mode = mode
        self._size = size
        self._free = defaultdict[str, list[Backend]](list)  # by database, as the next
        self._made = Counter[str]()
        self._backends: list[Backend] = []
        self._told: dict[str, bytes] = {}
        self._changed = threading.Condition()  # guards the above
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes accept()
        self._threads[0].join()
        hang_up([*self._clients, *(backend.socket for backend in self._backends)])
        for thread in self._threads[1:]:
            thread.join()
        for each in (self._listener, *self._clients, *(backend.socket for backend in self._backends)):
            each.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                return client.close()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client.makefile("rb") as messages:
            if database := _database(messages, client):
                self._welcome(client, database)
                self._pass_on(client, messages, database)
        hang_up([client])

    def _welcome(self, client: socket.socket, database: str) -> None:
        if not self._told:
            self._give_back(database, self._take(database))
        told = (_message(b"S", f"{name}\0".encode() + value + b"\0") for name, value in self._told.items())
        key = _message(b"K", secrets.token_bytes(8))
        client.sendall(_message(b"R", bytes(4)) + b"".join(told) + key + _message(b"Z", b"I"))

    def _pass_on(self, client: socket.socket, messages: BufferedReader, database: str) -> None:
        backend, asks = None, b"QS"  # kinds of messages that the server answers: Query, Sync
        try:
            while (message := _read(messages))[0:1] != b"X":
                if self._mode == "statement" and b"begin\0" in message:
                    return client.sendall(_message(b"E", NO_TRANSACTIONS))
                backend = backend or self._take(database)
                backend.socket.sendall(message)
                if message[0:1] not in asks:
                    continue
                state = _answer(backend, client)
                asks = b"cf" if message[0:1] == b"Q" and state is None else b"QS"  # the end of a COPY
                if self._mode != "session" and state == b"I":
                    backend = self._give_back(database, backend)
        finally:
            if backend:
                backend.run("rollback")
                backend.run("discard all")
                self._give_back(database, backend)

    def _take(self, database: str) -> Backend:
        with self._changed:
            free = self._free[database]
            self._changed.wait_for(lambda: self._closed or free or self._made[database] < self._size)
            if self._closed:
                raise EOFError
            if free:
                return free.pop()
            self._made[database] += 1
            self._backends.append(Backend(self._server.uri(database)))
            self._told = self._backends[-1].told
            return self._backends[-1]

    def _give_back(self, database: str, backend: Backend) -> None:
        with self._changed:
            self._free[database].append(backend)
            self._changed.notify_all()


def _database(messages: BufferedReader, client: socket.socket) -> str | None:
    """The database that a client asks for; None where it wants to cancel something."""
    while True:
        length, code = struct.unpack("!ii", messages.read(8))
        body = messages.read(length - 8)
        if code == CANCEL:
            return None
        if code == STARTUP:
            words = body.split(b"\0")
            return dict(zip(words[::2], words[1::2], strict=False))[b"database"].decode()
        client.sendall(b"N")  # neither TLS nor GSSAPI


def _read(messages: BufferedReader) -> bytes:
    head = messages.read(5)
    if len(head) < 5:
        raise EOFError
    return head + messages.read(struct.unpack("!i", head[1:])[0] - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _answer(backend: Backend, client: socket.socket) -> bytes | None:
    """Pass the answer on, and return the transaction's state; None where the server waits for rows to copy."""
    while True:
        message = _read(backend.messages)
        client.sendall(message)
        if message[0:1] in (b"Z", b"G"):
            return message[5:6] if message[0:1] == b"Z" else None


@dataclass(frozen=True)
class PgBouncer:
    """The settings of one, and where it runs."""

    folder: Path
    port: int

    def configure(self, server: Server, mode: Mode, size: int) -> Path:
        to = f"host={server.host} port={server.port} user={server.user} password='{server.password}'"
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": size,
            "query_wait_timeout": 60,
        }
        path = self.folder / "pgbouncer.ini"
        lines = (f"{name} = {value}" for name, value in settings.items())
        path.write_text("\n".join(["[databases]", f"* = {to}", "[pgbouncer]", *lines]) + "\n")
        return path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.01)


@contextmanager
def pgbouncer(server: Server, mode: Mode, size: int) -> Iterator[PgBouncer]:
    with TemporaryDirectory(prefix="arrowsync-pgbouncer-") as name:
        bouncer = PgBouncer(Path(name), free_port())
        bouncer.folder.chmod(0o755)
        command = [str(PGBOUNCER), str(bouncer.configure(server, mode, size))]
        with (bouncer.folder / "log").open("ab") as log:
            guard = subprocess.Popen(
                ["sh", "-c", GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                cwd=bouncer.folder,
                start_new_session=True,
                **server_user(),
            )
        try:
            bouncer.wait_until_ready()
            yield bouncer
        finally:
            guard.communicate("\n", timeout=PATIENCE_SECONDS)


@pytest.fixture(params=["small", *(["pgbouncer"] if PGBOUNCER else [])])
def new_pooler(
    request: pytest.FixtureRequest, postgresql_server: Server
) -> Iterator[Callable[[Mode, int], int]]:
    """Starts poolers in front of the server; the port of each: `server.uri(database, port=…)` goes through."""
    make = SmallPooler if request.param == "small" else pgbouncer
    with ExitStack() as made:
        yield lambda mode, size: made.enter_context(make(postgresql_server, mode, size)).port
