"""What a forked child must not do: keep its parent's sessions and locks open, or copy by itself.

Polars hangs in a child of a process that has used it, and drivers' locks may be held there for ever. A forked
worker, which Linux's ProcessPoolExecutor has by default before Python 3.14, hands what it is given to a fresh
process of its own.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from typing import Any

# Not multiprocessing's own way to spawn, which imports `__main__`: a script that forks needs no guard there.
_COMMAND = """import sys
sys.path[:] = sys.argv[2:]
from arrowsync import fork_safety
fork_safety.serve(int(sys.argv[1]))
"""
opening = threading.Lock()  # nobody forks between a descriptor's opening and its note
_noted: dict[int, int] = {}  # descriptor -> inode: what is closed meanwhile belongs to others
_mine = threading.local()  # each thread's fresh process
_forked = False


def note(descriptors: Iterable[tuple[int, int]]) -> None:
    """Let forked children release these (descriptor, inode): sessions and locks would outlive the parent."""
    _noted.update(descriptors)


def is_forked() -> bool:
    """Whether this process was forked since arrowsync was imported."""
    return _forked


def in_fresh_process(work: Callable[[Any], Any], value: Any) -> Any:  # Any: whatever can be pickled
    """What `work` makes of the value in this thread's fresh process.

    Raises EOFError when that has died, UnpicklingError where it does not know what the value is made of.
    """
    if not hasattr(_mine, "connection"):
        _mine.process, _mine.connection = _start()
    try:
        _mine.connection.send((work, value))
        answer = _mine.connection.recv()
    except BaseException:
        _mine.connection.close()  # which ends the process, whatever it is doing
        del _mine.connection
        raise
    if isinstance(answer, pickle.UnpicklingError):
        raise answer
    return answer


def _start() -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = Pipe()
    with theirs:
        command = [sys.executable, "-c", _COMMAND, str(theirs.fileno()), *sys.path]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    return process, ours


def serve(descriptor: int) -> None:
    """Be the fresh process, until the other end is closed or gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for whoever started us
    connection = Connection(descriptor)
    asked: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                asked.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)  # in the middle of a partition, too: it is rolled back

    threading.Thread(target=listen, name="arrowsync-listen", daemon=True).start()
    while True:
        given = asked.get()
        try:
            work, value = pickle.loads(given)
        except Exception as error:  # whatever unpickling a user's own class raises
            connection.send(pickle.UnpicklingError(str(error)))
        else:
            connection.send(work(value))


def _after_fork() -> None:
    global _forked, _mine
    _forked, _mine = True, threading.local()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor, inode in _noted.items():
        with suppress(OSError):
            if os.fstat(descriptor).st_ino == inode:
                # Not closed: a driver could say goodbye on what gets the number next.
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
    _noted.clear()
    opening.release()


os.register_at_fork(before=opening.acquire, after_in_parent=opening.release, after_in_child=_after_fork)
