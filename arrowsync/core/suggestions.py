"""What a caller may have meant: our word for another library's, or for a slip of the keyboard."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

# Our words, and what pandas, polars, Spark and other tools call the same.
_ELSEWHERE = {
    "mode": ("if_exists", "if_table_exists", "write_mode", "overwrite", "force"),
    "target_table": ("table_name", "name", "to_table", "schema", "target_schema"),
    "where": ("filter", "condition", "predicate"),
    "columns": ("select", "usecols"),
    "key": ("primary_key", "primary_keys", "keys"),
    "workers": ("threads", "jobs", "n_jobs", "max_workers", "parallel"),
    "batch_rows": ("batch_size", "chunksize", "chunk_size"),
    "cast": ("dtype", "dtypes", "schema_overrides", "table_schema"),
    "log_level": ("verbose", "v"),
    "no_progress": ("quiet", "q"),
}
_OURS = {word: ours for ours, words in _ELSEWHERE.items() for word in words}
_MODES = {
    **dict.fromkeys(("overwrite", "recreate"), "replace"),
    **dict.fromkeys(("fail", "error", "errorifexists", "new"), "create"),
    **dict.fromkeys(("insert", "add"), "append"),
    **dict.fromkeys(("truncate", "delete_rows", "delete"), "truncate"),
    **dict.fromkeys(("upsert", "merge", "update"), "upsert"),
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of the known words that is spelled most like it."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def meant_mode(value: str, known: Iterable[str]) -> str | None:
    """The mode that another library calls so, or that was mistyped; it need not be there yet."""
    return _MODES.get(value.casefold()) or nearest(value.casefold(), known)


def meant_argument(
    word: str, value: object, known: Collection[str], *, modes: Collection[str], table: object = None
) -> tuple[str, object] | None:
    """The argument of ours, and the value that it would have; None for an unknown word.

    `table` is the table that is copied, whose name belongs behind that of a schema.
    """
    ours = _OURS.get(word)
    if ours is None or ours not in known:
        ours = nearest(word, known)
        return (ours, value) if ours else None
    if ours == "mode":
        mode = meant_mode(str(value), modes)
        if word in ("overwrite", "force"):  # True, a flag alone, or the word for it
            mode = "create" if value is False else "replace"
        return ours, mode if mode in modes else None
    if word in ("schema", "target_schema"):
        return ours, f"{value}.{table if isinstance(table, str) else 'orders'}"
    if ours == "log_level":
        return ours, "info"
    return ours, value
