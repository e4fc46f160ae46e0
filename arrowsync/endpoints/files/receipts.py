"""Receipts of a folder's parts: a hidden file beside each, until the transfer is over.

A receipt gets its name right before its part does, and counts only together with the very file that it was
written for: what a kill in between leaves counts for nothing, and the partition is copied again.
"""

from __future__ import annotations

import json
from pathlib import Path

from arrowsync.core.receipts import Receipt
from arrowsync.endpoints.files.file_system import content_mark, write_whole
from arrowsync.endpoints.journal import read_receipt, receipt_text

SUFFIX = ".receipt"


def receipt_path(part: Path) -> Path:
    return part.with_name(f".{part.name}{SUFFIX}")


def write(part: Path, unnamed: Path, receipt: Receipt) -> None:
    """Write the receipt of what is still `unnamed`, and `part` next."""
    noted = {"content": content_mark(unnamed), "receipt": receipt_text(receipt)}
    write_whole(receipt_path(part), json.dumps(noted))


def read(part: Path) -> Receipt | None:
    """The receipt of a part that is there and is the one that was committed."""
    try:
        noted = json.loads(receipt_path(part).read_text(encoding="utf-8"))
        committed = noted["content"] == content_mark(part)
        return read_receipt(noted["receipt"]) if committed else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None  # not there, or no text of ours: the partition is copied again
