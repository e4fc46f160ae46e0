"""The allocators of a process that arrowsync brings pyarrow into."""

import ctypes
import os
import subprocess
import sys

import pytest

OURS = ("ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
POOL = "import os, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
HEAPS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
together = threading.Barrier(4)
threads = [threading.Thread(target=lambda: (libc.malloc(10_000), together.wait())) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
libc.malloc_info(0, libc.fdopen(1, b"w"))
libc.fflush(None)
"""
glibc_only = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is another"
)


def said(script: str, **chosen: str) -> str:
    """What a process of its own prints."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    run = [sys.executable, "-c", script]
    return subprocess.run(run, env=environment | chosen, check=True, capture_output=True, text=True).stdout


def test_pyarrow_comes_with_the_pool_that_gives_memory_back_and_the_environment_stays() -> None:
    assert said(f"import arrowsync; arrowsync.copy; {POOL}; print(*os.environ)").split()[0] == "system"
    assert "ARROW_DEFAULT" not in said(f"import arrowsync; arrowsync.copy; {POOL}; print(*os.environ)")


def test_a_name_that_needs_no_pyarrow_does_not_choose_a_pool_for_later() -> None:
    assert said(f"import arrowsync; arrowsync.ConfigError; {POOL}") == said(POOL)


def test_a_process_that_has_pyarrow_keeps_its_pool() -> None:
    assert said(f"import pyarrow, arrowsync; arrowsync.copy; {POOL}") == said(POOL)


def test_the_user_s_pool_stays() -> None:
    chosen = said(f"import arrowsync; arrowsync.copy; {POOL}", ARROW_DEFAULT_MEMORY_POOL="mimalloc")
    assert chosen == "mimalloc\n"


@glibc_only
def test_all_threads_share_one_heap_unless_the_user_has_said_how_many() -> None:
    first = "import arrowsync; arrowsync.ConfigError\n"
    assert said(HEAPS).count("<heap") > 1, "or this proves nothing"
    assert said(first + HEAPS).count("<heap") == 1
    assert said(first + HEAPS, MALLOC_ARENA_MAX="8").count("<heap") > 1
