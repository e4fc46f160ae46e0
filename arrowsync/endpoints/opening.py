"""Opens a driver's connection, and gives up on a server that takes it but does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress

from adbc_driver_manager import dbapi

from arrowsync.errors import Unanswered

AFTER_INTERRUPT = 2.0
"""Seconds that Ctrl-C waits for an opening to end. A server next door answers within milliseconds; one that
does not answer must not hold the prompt back."""


def open_within(seconds: float | None, connect: Callable[[], dbapi.Connection]) -> dbapi.Connection:
    """What `connect` returns or raises; Unanswered after so many seconds (None: waits for ever).

    A pooler whose server connections are all in use takes a connection and lets it wait, for two minutes by
    default. libpq's connect_timeout does not end that, and the driver cannot be interrupted meanwhile: it is
    left in its thread, which closes the connection if it comes after all.
    """
    if seconds is None:
        return connect()
    opened: Future[dbapi.Connection] = Future()
    thread = threading.Thread(target=_open, args=(connect, opened), name="arrowsync-open", daemon=True)
    try:
        thread.start()
        wait([opened], seconds)
        if opened.done():
            thread.join()  # it has answered: nothing of it is left when the caller goes on
    except KeyboardInterrupt:
        if not opened.cancel() and opened.exception() is None:
            opened.result().close()
        if thread.is_alive():
            thread.join(AFTER_INTERRUPT)
        raise
    if opened.cancel():
        raise Unanswered(
            f"the connection was taken, but not answered within {seconds:.0f} s",
            hint="A pooler keeps it waiting while all of its own are in use: raise its pool size, "
            "or give the database's own port",
        )
    return opened.result()


def _open(connect: Callable[[], dbapi.Connection], opened: Future[dbapi.Connection]) -> None:
    try:
        connection = connect()
    except BaseException as error:  # the top of a thread
        with suppress(InvalidStateError):  # nobody waits for it any more
            opened.set_exception(error)
        return
    try:
        opened.set_result(connection)
    except InvalidStateError:
        connection.close()
