"""Parquet as a format of files: this package is a Format."""

from arrowsync.endpoints.files.parquet.encoder import encoder, held_bytes, largest_file
from arrowsync.endpoints.files.parquet.footers import contents, open_reader, partitions, widths

__all__ = [
    "contents",
    "encoder",
    "held_bytes",
    "largest_file",
    "name",
    "open_reader",
    "partitions",
    "suffix",
    "widths",
]

name = "Parquet"
suffix = ".parquet"
