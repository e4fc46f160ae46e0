"""What a source's table has and its copy will not, one sentence each; a dialect adds what only it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from arrowsync.core.table import ForeignKey, Index, Key, Table, left_behind

# These order texts by their bytes: in SQLite every column does that.
_PLAIN = {"sqlite": ('pg_catalog."C"', 'pg_catalog."POSIX"', "pg_catalog.ucs_basic")}
# Without them rows differ that were equal: a key lets more of them in.
_EQUALIZING = ("collate ", "comparison of ", "nulls not distinct", "without overlaps")


def of_table(source: Table, target: Table, names: Mapping[str, str]) -> Iterator[str]:
    """`names` are the columns' new ones."""
    if source.partition_key:
        yield f"{source.name} is partitioned by {source.partition_key}; its copy is one table"
    yield from left_behind(source.dependents, target.dependents)
    yield from _of_columns(source, target)
    yield from _of_keys(source, target, names)


def _of_columns(source: Table, target: Table) -> Iterator[str]:
    for column, made in zip(source.columns, target.columns, strict=True):
        if column.default and not (made.default or made.identity):
            yield f"column {column.name!r}: its default is not carried over: {column.default}"
        if column.generated and not made.generated:
            yield f"column {column.name!r} is generated as {column.generated}; its copy holds the values"
        plain = column.collation in (None, *_PLAIN.get(target.dialect, ()))
        if not plain and not made.collation:
            yield f"column {column.name!r}: its collation is not carried over: {column.collation}"
        if column.on_null and not made.on_null:
            yield f"column {column.name!r}: not null on conflict {column.on_null} is not carried over"


def _of_keys(source: Table, target: Table, names: Mapping[str, str]) -> Iterator[str]:
    """What the copy's keys and indexes do not say as the source's do."""
    kinds: tuple[tuple[str, Sequence[Key | ForeignKey | Index], Sequence[Key | ForeignKey | Index]], ...] = (
        ("primary key", _one(source.primary_key), _one(target.primary_key)),
        ("unique constraint", source.unique, target.unique),
        ("foreign key", source.foreign_keys, target.foreign_keys),
        ("index", [index for index in source.indexes if index.columns and not index.where], target.indexes),
    )
    for kind, before, after in kinds:
        for part in before:
            columns = tuple(names.get(column, "") for column in part.columns)
            made = [other.constraint_options for other in after if other.columns == columns]
            for option in part.constraint_options if made else ():
                if not any(option in kept for kept in made):
                    weaker = " is weaker" if option.startswith(_EQUALIZING) and _is_unique(part) else ""
                    yield f"{_called(kind, part)}{weaker}: {option} is not carried over"


def _one(key: Key | None) -> Sequence[Key]:
    return (key,) if key else ()


def _called(kind: str, part: Key | ForeignKey | Index) -> str:
    return f"{kind} {part.name!r}" if part.name else f"the {kind} of {', '.join(part.columns)}"


def _is_unique(part: Key | ForeignKey | Index) -> bool:
    return part.unique if isinstance(part, Index) else isinstance(part, Key)
