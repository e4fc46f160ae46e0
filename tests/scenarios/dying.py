"""Runs copies in processes that die right before the n-th change of names below a folder, for walks over n.

Each copy is a fork of one process that has imported arrowsync: 0.1 s instead of 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Reads a line of JSON for each copy and answers with one: how it ended, and the error's words.
SERVER = """
import json, os, sys
import arrowsync, arrowsync.api
from arrowsync.endpoints.files import staging
from arrowsync.endpoints.files.formats import FORMATS
from tests import ipc_files

NAMES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}

def mortal(folder, die_at):
    seen = 0
    def count(event, arguments):
        nonlocal seen
        changes = event in NAMES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        # shutil.rmtree() tells names within the folder that it is in.
        if changes and (str(arguments[0]).startswith(folder) or not os.path.isabs(str(arguments[0]))):
            seen += 1
            if seen == die_at:
                os._exit(9)
    sys.addaudithook(count)

def copied(told):
    if not told.pop("exchanges"):
        staging.exchange = lambda one, other: False
    if told.pop("arrow"):  # comes first, and so is a new folder's
        known = dict(FORMATS)
        FORMATS.clear()
        FORMATS.update({ipc_files.suffix: ipc_files, **known})
    mortal(told.pop("folder"), told.pop("die_at"))
    limits = arrowsync.Limits(partition_bytes="4 KiB")
    try:
        report = arrowsync.copy(told.pop("source"), told.pop("target"), limits=limits, workers=1, progress=False, **told)
        return {"status": report.status}
    except arrowsync.ArrowsyncError as error:
        return {"status": type(error).__name__, "error": f"{error} {error.hint or ''}"}

for line in sys.stdin:
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, json.dumps(copied(json.loads(line))).encode())
        os._exit(0)
    os.close(writes)
    with open(reads) as answer:
        print(answer.read() or '{"status": "killed"}', flush=True)
    os.waitpid(child, 0)
"""


@dataclass(frozen=True)
class Ended:
    """`status` is the report's, an error's class, or "killed"."""

    status: str
    error: str = ""


@dataclass(frozen=True)
class Mortal:
    """Copies whose changes below `folder` are counted."""

    process: subprocess.Popen[str]
    folder: Path
    exchanges: bool = True  # whether the system can exchange names
    arrow: bool = False  # whether folders get files of tests/ipc_files.py

    def copy(self, source: Path, target: str, *, die_at: int = 0, **told: Any) -> Ended:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"source": str(source), "target": target, "die_at": die_at, "folder": str(self.folder)}
        self.process.stdin.write(
            json.dumps({**asked, "exchanges": self.exchanges, "arrow": self.arrow, **told}) + "\n"
        )
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


@contextmanager
def mortal(folder: Path, *, exchanges: bool = True, arrow: bool = False) -> Iterator[Mortal]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Mortal(process, folder, exchanges, arrow)
        assert process.stdin is not None
        process.stdin.close()
