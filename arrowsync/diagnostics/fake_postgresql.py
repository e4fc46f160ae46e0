"""A PostgreSQL of one table, in a thread of this process: against it, reading costs the driver's work alone.

It speaks as much of the protocol as a driver needs to connect and to read the table by COPY. Whatever else it
is asked it refuses, and then hangs up; so it does when nothing comes for a while. A driver never waits long.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

QUERY = "select * from measured"
ROWS = 10_000
PATIENCE_SECONDS = 2.0  # for a message, which takes milliseconds; libpq's connect_timeout takes no less

_SETTINGS = {
    "server_version": "18.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}
# Each four times: the type's number, length and modifier, and a value as COPY's binary format has it.
_TYPES = (
    (20, 8, -1, struct.pack("!q", 1_234_567_890_123)),  # bigint
    (1700, -1, (12 << 16) + 2 + 4, struct.pack("!7h", 3, 1, 0, 2, 1, 2345, 6700)),  # numeric(12,2): 12345.67
    (25, -1, -1, b"a note of some length"),  # text
    (1082, 4, -1, struct.pack("!i", 9_000)),  # date
)
_COLUMNS = _TYPES * 4
VALUES = ROWS * len(_COLUMNS)


class _Unexpected(Exception):
    """The driver says what this server has no answer for."""


@contextmanager
def serving() -> Iterator[str]:
    """The URI of such a server, for one connection at a time; it ends with the context."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_listen, args=[listener, ended], name="fake PostgreSQL", daemon=True)
        thread.start()
        try:
            yield _uri(listener)
        finally:
            ended.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname(), PATIENCE_SECONDS).close()  # wakes accept()
            thread.join(PATIENCE_SECONDS)


def _uri(listener: socket.socket) -> str:
    """Says everything that libpq's variables could say otherwise, for they are meant for real servers."""
    return (
        f"postgresql://arrowsync@127.0.0.1:{listener.getsockname()[1]}/measured?hostaddr=127.0.0.1"
        "&sslmode=disable&gssencmode=disable&channel_binding=disable&target_session_attrs=any"
        f"&connect_timeout={PATIENCE_SECONDS:.0f}"
    )


def _listen(listener: socket.socket, ended: threading.Event) -> None:
    while not ended.is_set():
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer takes 40 ms
        with connection, suppress(OSError):  # it is gone, or silent
            _serve(connection)


def _serve(connection: socket.socket) -> None:
    try:
        _greet(connection)
        statement = ""
        while True:
            kind, body = _receive(connection)
            if kind == b"X":
                return
            if kind == b"P":
                _, statement, *_ = body.decode(errors="replace").split("\0")
            connection.sendall(_answer(kind, body, statement))
    except _Unexpected as unexpected:
        text = f"SERROR\0C0A000\0M{unexpected}\0\0"
        connection.sendall(_message(b"E", text.encode()))


def _greet(connection: socket.socket) -> None:
    _exactly(connection, struct.unpack("!i", _exactly(connection, 4))[0] - 4)  # who it is, we need not know
    settings = (_message(b"S", f"{name}\0{value}\0".encode()) for name, value in _SETTINGS.items())
    connection.sendall(
        _message(b"R", bytes(4)) + b"".join(settings) + _message(b"K", bytes(8)) + _message(b"Z", b"I")
    )


def _answer(kind: bytes, body: bytes, statement: str) -> bytes:
    match kind:
        case b"Q" if body in _VERSIONS:
            return _VERSIONS[body] + _message(b"Z", b"I")
        case b"P":
            return _message(b"1")
        case b"B":
            return _message(b"2")
        case b"D" if body[:1] == b"S":
            return _message(b"t", bytes(2)) + (_TABLE if statement.startswith(QUERY) else _message(b"n"))
        case b"D":
            return _message(b"n")
        case b"E" if QUERY in statement:
            return _rows()
        case b"S":
            return _message(b"Z", b"I")
        case b"H":
            return b""
        case _:
            raise _Unexpected(f"the driver sent {kind + body[:60]!r} where that was not expected")


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!ci", _exactly(connection, 5))
    return kind, _exactly(connection, length - 4)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (part := connection.recv(size - len(found))):
            raise ConnectionResetError
        found += part
    return found


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _description(*columns: tuple[str, int, int, int]) -> bytes:
    """The columns' names, type numbers, lengths and modifiers."""
    fields = (
        name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, type_, length, modifier, 0)
        for name, type_, length, modifier in columns
    )
    return _message(b"T", struct.pack("!h", len(columns)) + b"".join(fields))


_TABLE = _description(*((f"c{n}", *column[:3]) for n, column in enumerate(_COLUMNS)))


def _value(text: bytes) -> bytes:
    """A table of one text."""
    row = struct.pack("!hi", 1, len(text)) + text
    return _description(("value", 25, -1, -1)) + _message(b"D", row) + _message(b"C", b"SELECT 1\0")


_VERSIONS = {
    b"SELECT version();\0": _value(b"PostgreSQL 18.0"),
    b"SHOW server_version_num\0": _value(b"180000"),
}


def _rows() -> bytes:
    count = struct.pack("!h", len(_COLUMNS))
    row = count + b"".join(struct.pack("!i", len(value)) + value for *_, value in _COLUMNS)
    formats = struct.pack(f"!bh{len(_COLUMNS)}h", 1, len(_COLUMNS), *[1] * len(_COLUMNS))
    return (
        _message(b"H", formats)
        + _message(b"d", b"PGCOPY\n\xff\r\n\0" + bytes(8) + row)  # as servers do: the driver relies on it
        + _message(b"d", row) * (ROWS - 1)
        + _message(b"d", struct.pack("!h", -1))
        + _message(b"c")
        + _message(b"C", f"COPY {ROWS}\0".encode())
    )
