"""Digests lists too long to be Python values as a whole: their texts are hashed piece by piece."""

from __future__ import annotations

from hashlib import blake2b

import pyarrow as pa

PIECE_BYTES = 64 << 10  # about, of elements that are Python values at a time


def text_or_digest(elements: pa.Array, longest: int) -> tuple[bytes | None, bytes | None]:
    """The text of a list's Python value; where it is longer than `longest`, its digest instead.

    The whole text of 524,288 integers, with what it is made of, took 40 MiB.
    """
    digest, size, text = blake2b(b"[", digest_size=32), len("[]"), b""
    step = max(1, PIECE_BYTES * len(elements) // max(1, elements.nbytes))
    for start in range(0, len(elements), step):
        piece = repr(elements.slice(start, step).to_pylist())[1:-1].encode()
        piece = b", " + piece if start else piece
        digest.update(piece)
        size += len(piece)
        text = text + piece if size <= longest else b""
    digest.update(b"]")
    return (b"[" + text + b"]", None) if size <= longest else (None, digest.digest())
