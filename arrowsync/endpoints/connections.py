"""Opens, uses and closes ADBC connections; the one place that turns driver errors into ours."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode, dbapi
from adbc_driver_manager import _reader as adbc_reader

from arrowsync import fork_safety
from arrowsync.core.contracts import Depth
from arrowsync.core.waits import Wait, listening
from arrowsync.dialects.dialect import Dialect
from arrowsync.endpoints import shared_databases
from arrowsync.endpoints.cancellation import DriverCalls
from arrowsync.endpoints.drivers import ChosenDriver
from arrowsync.endpoints.lock_watch import LockWatch
from arrowsync.endpoints.opening import open_within
from arrowsync.endpoints.secrets import redact, secrets_in
from arrowsync.errors import ConnectionRefused, Unanswered

# A second connection that takes so many times as long as the first, and so many seconds, is kept waiting. One
# took more than 3 s on a busy machine: a pooler in transaction mode then passed for one in session mode.
LONGER, SHORTEST_PATIENCE = 5, 10.0

# A server counts a session until its process has ended, a moment after its client has closed it; the driver
# itself opens two, one after the other.
LETTING_GO_SECONDS = (0.05, 0.15, 0.3)

# By URI, driver and quote: where sessions were found to be as they must be.
_checked: set[tuple[str, ChosenDriver, str]] = set()


@dataclass(frozen=True, slots=True)
class Address:
    """What is needed to open a connection: a filled-in URI, the driver, the dialect."""

    uri: str
    driver: ChosenDriver
    dialect: Dialect


class AdbcConnection:
    """One ADBC connection in autocommit mode; transactions are begun by hand, so that savepoints work.

    Errors are ours, without passwords. For one thread at a time, but for `cancel`.
    """

    def __init__(self, address: Address, *, read_only: bool) -> None:
        self.dialect = address.dialect
        self._address = address
        self._place = (address.uri, address.driver, address.dialect.capabilities.quote)
        self._read_only = read_only
        given = address.driver.given
        self._secrets = (*(given.secrets if given else ()), *secrets_in(address.uri))
        self._watch: LockWatch | None = None
        self._open()
        self._calls = DriverCalls(ask=self._connection.adbc_cancel, cut=self.cut, release=self._release)
        try:
            self._begin_session()
        except BaseException:
            self.close()
            raise

    @property
    def _patience(self) -> float | None:
        """Seconds that opening may take."""
        return self.dialect.opening_seconds(self._address.uri)

    def _open(self) -> None:
        """Open it; again where one of ours that was just closed may still be counted."""
        pauses = iter(LETTING_GO_SECONDS if self._place in _checked else ())
        while True:
            try:
                with self._translating():
                    return self._open_once()
            except ConnectionRefused as refused:
                if isinstance(refused, Unanswered) or (pause := next(pauses, None)) is None:
                    raise
                time.sleep(pause)

    def _open_once(self) -> None:
        options = self.dialect.options(self._address.uri, read_only=self._read_only)
        started = time.monotonic()
        with fork_safety.opening:  # a connection's socket is found by the open descriptors before and after
            before = _sockets()
            self._connection = open_within(self._patience, lambda: self._connect(options))
            self._sockets = _sockets() - before
            fork_safety.note(self._sockets)
        self._opened_seconds = time.monotonic() - started

    def _connect(self, options: Mapping[str, str]) -> dbapi.Connection:
        driver = self._address.driver
        if not self.dialect.capabilities.one_database:
            return _connect(driver, options)
        return shared_databases.connect((driver, *sorted(options.items())), lambda: _connect(driver, options))

    def _begin_session(self) -> None:
        if self._place not in _checked:
            self.dialect.check_session(self)
            _checked.add(self._place)
        for statement in self.dialect.session(read_only=self._read_only):
            self.run(statement)
        if (tell := listening()) is not None and (mine := self.dialect.session_id(self)) is not None:
            self._watch = LockWatch(lambda: self._awaited(mine), tell)

    def _awaited(self, session_id: int) -> Wait | None:
        with self.another() as other:
            return self.dialect.waits_for(other, session_id)

    def over_tries(self) -> contextlib.AbstractContextManager[None]:
        """Calls inside try again and again for the same lock."""
        return self._watch.over_tries() if self._watch else contextlib.nullcontext()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and with it whatever is open."""
        self._calls.close()

    def _release(self) -> None:
        """The cursors, then the connection; an error on a broken connection is of no use to anybody."""
        with contextlib.suppress(Exception):
            shared_databases.close(self._connection)

    def another(self) -> AdbcConnection:
        """A further connection like this one, for another thread."""
        return AdbcConnection(self._address, read_only=self._read_only)

    def another_bare(self) -> AdbcConnection:
        """See BareConnection."""
        patience = max(SHORTEST_PATIENCE, LONGER * self._opened_seconds)
        return BareAdbcConnection(self._address, read_only=self._read_only, patience=patience)

    @property
    def own_end(self) -> tuple[str, int] | None:
        """See BareConnection."""
        if len(self._sockets) != 1:
            return None  # other threads have opened sockets meanwhile
        [(descriptor, _)] = self._sockets
        with socket.socket(fileno=os.dup(descriptor)) as connected:
            tcp = connected.family in (socket.AF_INET, socket.AF_INET6)
            return connected.getsockname()[:2] if tcp else None

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        with self._cursor() as cursor, self._watching(), self._calling():
            cursor.execute(statement, parameters or None)

    def change(self, statement: str) -> int:
        """Run an INSERT, UPDATE or DELETE; how many rows it reports."""
        with self._cursor() as cursor, self._watching(), self._calling():
            cursor.execute(statement)
            rows = int(cursor.rowcount)
        return rows if rows >= 0 else int(self.rows(self.dialect.capabilities.rows_changed)[0][0])

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:  # Any: SQL values
        with (
            self._cursor(self.dialect.capabilities.query_options) as cursor,
            self._watching(),
            self._calling(),
        ):
            cursor.execute(query, parameters or None)
            return list(cursor.fetchall())

    def about(self) -> dict[str, str]:
        """What the driver says of itself and the database: driver_name, driver_version, vendor_version, …"""
        with self._calling():
            return {str(name): str(value) for name, value in self._connection.adbc_get_info().items()}

    def schema(self, query: str) -> pa.Schema:
        """The Arrow schema that the driver gives the query, which is run only where that has to be."""
        with self._cursor() as cursor, self._calling():
            try:
                return cursor.adbc_execute_schema(query)
            except dbapi.NotSupportedError:
                cursor.execute(query)
                return cursor.fetch_record_batch().schema

    def objects(self, depth: Depth, **named: str) -> list[dict[str, Any]]:  # Any: of Arrow
        """What the driver's catalogue tells (GetObjects), as its Arrow structs."""
        with self._calling():
            reader = self._connection.adbc_get_objects(depth=depth, **named)  # type: ignore[arg-type]
            found: list[dict[str, Any]] = reader.read_all().to_pylist()  # Any: of Arrow structs
            return found

    def option(self, name: str) -> str | None:
        """What the connection says of an ADBC option; None where the driver has none of that name."""
        with self._calling(), contextlib.suppress(dbapi.Error):
            return str(self._connection.adbc_connection.get_option(name)) or None
        return None

    @contextlib.contextmanager
    def stream(self, query: str, options: Mapping[str, str | int]) -> Iterator[Iterator[pa.RecordBatch]]:
        """The query's batches as they arrive. Leaving early cancels what is left of it."""
        with self._cursor(options) as cursor:
            with self._calling():
                cursor.execute(query)
                handle = cursor.fetch_arrow()
                # The public fetch_record_batch() hands out pyarrow's own reader, whose errors in mid-stream
                # are bare OSErrors without an SQLSTATE; this class, which the cursor itself uses, raises
                # typed ones.
                reader = adbc_reader.AdbcRecordBatchReader._import_from_c(handle.address)
            finished = False
            try:

                def batches() -> Iterator[pa.RecordBatch]:
                    nonlocal finished
                    # Not `yield from reader`: its iterator would keep the last batch alive while we wait for
                    # memory.
                    while (batch := self._next(reader)) is not None:
                        yield batch
                        del batch
                    finished = True

                yield batches()
            finally:
                if not finished and self.dialect.capabilities.cancels:
                    # Closing the cursor of an unread stream is quick, but the next command first downloads
                    # the rest (0.95 s for 3 M rows; 0.01 s after a cancel).
                    with contextlib.suppress(Exception):
                        cursor.adbc_cancel()

    def ingest(
        self,
        table: str,
        batches: pa.RecordBatchReader,
        options: Mapping[str, Any],
        *,
        mode: Literal["create", "append"] = "append",
    ) -> int:
        """One bulk ingest; the number of rows sent."""
        # With a fresh cursor each time: db_schema_name and catalog_name stick to one.
        with self._cursor() as cursor, self._calling():
            return int(cursor.adbc_ingest(table, batches, mode=mode, **options))

    def cancel(self) -> None:
        """End what runs, from another thread, and let nothing more begin; SQLite's driver has no cancel."""
        if self.dialect.capabilities.cancels:
            self._calls.cancel()

    def cut(self) -> None:
        """Shut the sockets, so that a call which is blocked on a stalled network returns with an error."""
        for descriptor, inode in self._sockets:
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_ino == inode:
                    with socket.socket(fileno=os.dup(descriptor)) as connected:
                        connected.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _cursor(self, options: Mapping[str, Any] | None = None) -> Iterator[dbapi.Cursor]:  # Any: str or int
        with self._translating():
            cursor = self._connection.cursor(adbc_stmt_kwargs=dict(options) if options else None)
        try:
            yield cursor
        finally:
            with contextlib.suppress(Exception):  # closing after an error repeats the error
                cursor.close()

    def _is_interrupt(self, error: Exception) -> bool:
        """Whether this is how a driver in the main thread tells of Ctrl-C.

        With CANCELLED, as if the server had done it; SQLite, which cannot cancel, with the cause alone, when
        its query has ended.
        """
        if isinstance(error.__cause__, KeyboardInterrupt):
            return True
        in_main_thread = threading.current_thread() is threading.main_thread()
        return _is_cancel(error) and in_main_thread and not self._calls.cancelled

    def _next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        with self._calling():
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

    def _watching(self) -> contextlib.AbstractContextManager[None]:
        return self._watch.during_call() if self._watch else contextlib.nullcontext()

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """A driver call that `cancel` can end, its errors ours."""
        with self._calls.call(), self._translating():
            yield

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (dbapi.Error, OSError, pa.ArrowException) as error:
            if self._is_interrupt(error):
                raise KeyboardInterrupt from None
            ours = self.dialect.translate(error)
            quotes_a_secret = ours.message != redact(str(ours.message), self._secrets) or any(
                secret in str(error) for secret in self._secrets
            )
            ours.message = redact(ours.message, self._secrets)
            ours.hint = redact(ours.hint, self._secrets) if ours.hint else ours.hint
            ours.args = (ours.message,)
            raise ours from (None if quotes_a_secret else error)


class BareAdbcConnection(AdbcConnection):
    """A connection that sets nothing in its session, which may be another application's next."""

    def __init__(self, address: Address, *, read_only: bool, patience: float | None = None) -> None:
        self._given_patience = patience
        super().__init__(address, read_only=read_only)

    @property
    def _patience(self) -> float | None:
        return self._given_patience or super()._patience

    def _begin_session(self) -> None:
        """Leaves it as it is."""


def _connect(driver: ChosenDriver, options: Mapping[str, str]) -> dbapi.Connection:
    try:
        entrypoint = driver.given.entrypoint if driver.given else None
        return dbapi.connect(
            driver.name, entrypoint=entrypoint, db_kwargs=driver.options(options), autocommit=True
        )
    except dbapi.Error as error:
        _, manager, reason = str(error).partition("[Driver Manager] ")
        if manager:
            raise driver.refused(reason.splitlines()[0].rpartition("dlopen() failed: ")[2]) from error
        if isinstance(error, dbapi.NotSupportedError):  # of an option; the text may quote the URI
            old = "it is another database's, or older than 1.13"
            raise driver.refused(old if driver.given is None else "it knows no such option") from None
        raise


def _is_cancel(error: Exception) -> bool:
    return getattr(error, "status_code", None) == AdbcStatusCode.CANCELLED


def _sockets() -> set[tuple[int, int]]:
    """This process's open sockets as (descriptor, inode)."""
    found = set()
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.add((int(name), status.st_ino))
    return found
