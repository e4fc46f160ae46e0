"""What inspection finds: names, columns, keys, indexes, tables. Values only; nothing here asks a database."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import pyarrow as pa

from arrowsync.errors import ConfigError

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_Same = Callable[[str | None, str | None], bool]


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's exact name; `schema` is None where the database has none or the default is meant."""

    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read a name as SQL writes it: orders, public.orders, public."My.Table". Raises ConfigError."""
        parts, position = [], 0
        while match := _PART.match(text, position):
            parts.append(match[1].replace('""', '"') if match[1] is not None else match[2].strip())
            position = match.end() + 1
            if text[match.end() :][:1] not in ("", "."):
                break
        if position != len(text) + 1 or not 1 <= len(parts) <= 2 or not all(parts):
            raise ConfigError(
                f"cannot read the table name {text!r}",
                hint='Write it as in SQL: orders, public.orders or public."My.Table"',
            )
        return cls(parts[-1], parts[0] if len(parts) == 2 else None)

    def __str__(self) -> str:
        parts = (part for part in (self.schema, self.name) if part is not None)
        return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)


def quoted(name: str) -> str:
    """The name of anything, as standard SQL writes it where it must be taken letter by letter."""
    return '"' + name.replace('"', '""') + '"'


def find_table(wanted: str, names: Sequence[TableName], *, default_schema: str | None = None) -> TableName:
    """The name that `wanted` means: an exact match, else the only one that differs in case.

    A text that is some table's whole name ("a.b" as a SQLite table) matches it too. Raises ConfigError
    with the nearest names.
    """
    for same in (lambda a, b: a == b, lambda a, b: (a or "").casefold() == (b or "").casefold()):
        found = [name for name in names if _means(wanted, name, default_schema, same)]
        if len(found) > 1:
            found = [name for name in found if name.schema == default_schema] or found
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(str(name) for name in found)
            raise ConfigError(f"table {wanted!r} could be any of: {listed}")
    raise ConfigError(f"no table {wanted!r}", hint=_tables_there(wanted, names))


def _tables_there(wanted: str, names: Sequence[TableName]) -> str:
    """What the user may have meant."""
    near = difflib.get_close_matches(wanted.casefold(), [str(n).casefold() for n in names], n=3, cutoff=0.5)
    close = [str(n) for n in names if str(n).casefold() in near or n.name.casefold() in near]
    if close:
        return f"Near names: {', '.join(close)}"
    return f"Tables there: {_first([str(name) for name in names], 10)}"


def columns_there(wanted: str, names: Sequence[str]) -> str:
    """Which column the user may have meant, and which there are."""
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}It has: {_first(names, 20)}"


def _first(names: Sequence[str], most: int) -> str:
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none at all"


def _means(wanted: str, name: TableName, default_schema: str | None, same: _Same) -> bool:
    if same(wanted, name.name) and name.schema in (None, default_schema):
        return True
    try:
        parsed = TableName.parse(wanted)
    except ConfigError:
        return False
    return same(parsed.name, name.name) and (parsed.schema is None or same(parsed.schema, name.schema))


def match_tables(patterns: Iterable[str], names: Iterable[TableName]) -> list[TableName]:
    """The names some pattern takes and no "!pattern" excludes. Raises ConfigError where one finds none."""
    names = list(names)
    included: list[TableName] = []
    patterns = list(patterns)
    wanted = [p for p in patterns if not p.startswith("!")] or ["*"]
    for pattern in wanted:
        found = [name for name in names if _fits(pattern, name)]
        if not found:
            hint = _tables_there(pattern.replace("*", ""), names)
            raise ConfigError(f"no table matches the pattern {pattern!r}", hint=hint)
        included += [name for name in found if name not in included]
    excluded = [p[1:] for p in patterns if p.startswith("!")]
    left = [name for name in included if not any(_fits(pattern, name) for pattern in excluded)]
    if not left:
        raise ConfigError(
            f"the patterns {', '.join(patterns)} leave no table", hint="One of them excludes all"
        )
    return left


def any_fits(patterns: Sequence[str], name: TableName) -> bool:
    """Whether some pattern takes the name and no "!pattern" excludes it."""
    taken = [p for p in patterns if not p.startswith("!")] or ["*"]
    excluded = [p[1:] for p in patterns if p.startswith("!")]
    return any(_fits(p, name) for p in taken) and not any(_fits(p, name) for p in excluded)


def _fits(pattern: str, name: TableName) -> bool:
    qualified = f"{name.schema}.{name.name}" if name.schema else name.name
    return fnmatchcase(qualified, pattern) or fnmatchcase(name.name, pattern) or str(name) == pattern


@dataclass(frozen=True, slots=True)
class NativeType:
    """A type as one database spells it: ("postgresql", "numeric(10,2)"), ("sqlite", "VARCHAR(20)")."""

    dialect: str
    name: str


@dataclass(frozen=True, slots=True)
class Serial:
    """The sequence that numbers a column, `next` as inspection found it; unowned, it serves others too."""

    name: TableName
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    next: int
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `origin` is the type its values had where they first came from.

    For a column in its home `origin` is its own type. A SQLite file that arrowsync wrote from PostgreSQL
    declares `TEXT numeric(38,10)` and has the origin ("postgresql", "numeric(38,10)"). `base` is the built-in
    type under a domain.
    """

    name: str
    type: str
    origin: NativeType
    nullable: bool = True
    default: str | None = None
    identity: Literal["always", "by default"] | None = None
    generated: str | None = None
    collation: str | None = None
    comment: str | None = None
    base: str | None = None
    virtual: bool = False  # generated when it is read, not stored
    on_null: str | None = None  # "replace": what SQLite does with a row whose NULL it would else refuse
    serial: Serial | None = None
    remark: str | None = None  # what the plan is to say of it


@dataclass(frozen=True, slots=True)
class TypePart:
    """What a type is made of: a composite's attribute, or the one type under a domain, range or multirange.

    `type` has its modifiers, `bare` has none; `collation` is None where it is the type's own.
    """

    name: str
    type: str
    bare: str
    collation: str | None = None

    def __str__(self) -> str:
        collate = f" collate {self.collation}" if self.collation else ""
        return f"{self.name} {self.type}{collate}".strip()


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that the table's columns need and that somebody made; `base` is what lies under a domain.

    `definition` is the database's own CREATE statement, usable between equal databases only. `labels` are an
    enum's, in order; `functions` say how a range or base type works.
    """

    name: str
    kind: Literal["enum", "domain", "composite", "range", "multirange", "base"]
    base: str | None = None
    definition: str | None = None
    extension: str | None = None
    comment: str | None = None
    labels: tuple[str, ...] = ()
    parts: tuple[TypePart, ...] = ()
    functions: str = ""


# `definition` below is what the database itself writes after the constraint's name; it says what the other
# fields cannot (NULLS NOT DISTINCT, INCLUDE, DEFERRABLE) and is usable between equal databases only.
# `constraint_options` are those of it that change which rows are let in, for a target that cannot take the
# definition.


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or unique constraint."""

    name: str | None
    columns: tuple[str, ...]
    definition: str | None = None
    comment: str | None = None
    constraint_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint; `expression` without the word CHECK and its parentheses."""

    name: str | None
    expression: str
    columns: tuple[str, ...] = ()  # that it reads, where the database says so
    definition: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str | None
    columns: tuple[str, ...]
    references: TableName
    referenced: tuple[str, ...]
    on_delete: str = "no action"
    on_update: str = "no action"
    deferrable: Literal["deferred", "immediate"] | None = None
    definition: str | None = None
    comment: str | None = None
    constraint_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """An index that belongs to no constraint.

    `columns` are plain column names in order, empty when the index holds expressions; `definition` is the
    database's own CREATE INDEX, usable between equal databases only.
    """

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    descending: tuple[bool, ...] = ()
    where: str | None = None
    definition: str | None = None
    comment: str | None = None
    constraint_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide a table's rows are: `classes` of (bytes, how many rows are at most so wide), widest first.

    `row` names the widest one, "id = 5", where that was cheap to find. `held` are the bytes that a reader
    holds beside its batches all the time, most of them for the column `holder`.
    """

    classes: tuple[tuple[int, int], ...]
    row: str | None = None
    held: int = 0
    holder: str | None = None

    @property
    def widest(self) -> int:
        return self.classes[0][0] if self.classes else 0

    def rows_within(self, nbytes: int) -> int:
        """How many rows never hold more than so many bytes, whichever they are; at least one."""
        count, room = 0, nbytes
        for width, rows in self.classes:
            if width * rows > room:
                return max(1, count + room // width)
            count, room = count + rows, room - width * rows
        return max(1, count)


@dataclass(frozen=True, slots=True)
class View:
    """What makes a view again in an equal database: its CREATE statement, after the tables it reads."""

    statement: str
    reads: tuple[TableName, ...] = ()
    materialized: bool = False
    populated: bool = True


@dataclass(frozen=True, slots=True)
class Dependent:
    """A trigger, rule, policy of a table: the copy of the table is made without."""

    kind: str
    name: str | None = None
    definition: str | None = None  # makes it again on the same table

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind} {self.name!r}"


def left_behind(source: Sequence[Dependent], target: Sequence[Dependent] = ()) -> Iterator[str]:
    """The sentence about dependents of the source that the target does not get."""
    there = {str(each) for each in target}
    if missing := [text for each in source if (text := str(each)) not in there]:
        yield not_carried(missing)


def not_carried(what: Sequence[str]) -> str:
    *first, last = what
    return f"{', '.join(first)} and {last} are not carried over" if first else f"{last} is not carried over"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view, query, file or frame, as inspection found it or as a sink will make it.

    `rows` and `bytes` are estimates (None: unknown); `rows_exact` says that `rows` was counted. `widths` are
    measured only for tables that will be read. `quarantined`: its rows are those that a target refused.
    """

    name: TableName
    dialect: str
    columns: tuple[Column, ...]
    kind: Literal["table", "view", "query", "file", "frame"] = "table"
    primary_key: Key | None = None
    unique: tuple[Key, ...] = ()
    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None
    rows: int | None = None
    rows_exact: bool = False
    bytes: int | None = None
    definition: str | None = None  # a view's or a query's SQL
    view: View | None = None  # None also where a view can be copied as a table of its rows only
    partition_key: str | None = None  # "range (day)" of a partitioned table
    types: tuple[UserType, ...] = ()  # in the order in which they can be made
    widths: Widths | None = None
    options: tuple[str, ...] = ()  # behind a CREATE TABLE's parentheses, usable between equal databases only
    dependents: tuple[Dependent, ...] = ()
    quarantined: bool = False
    remarks: tuple[str, ...] = ()  # that the plan is to show
    arrow: pa.Schema | None = None  # the driver's, where it is all that is known of the types

    def column(self, name: str) -> Column:
        """The column of exactly that name. Raises ConfigError with the nearest names."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise ConfigError(f"no column {name!r}", table=str(self.name), hint=columns_there(name, names))

    def shape(self, *more: object) -> str:
        """Another text when a column goes, comes, or gets another name, type or expression.

        With what the types are: a renamed label of an enum changes rows that nobody has written. `more` is
        what the database knows besides.
        """
        columns = [(column.name, column.type, column.generated) for column in self.columns]
        types = [(type.name, type.definition, type.base) for type in self.types]
        facts = repr((self.kind, self.definition, columns, types, more))
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """The table as JSON values; names as exact strings, without empty parts."""
        values: dict[str, Any] = _json(self)  # Any: JSON
        del values["widths"], values["quarantined"], values["remarks"], values["arrow"]
        for column in values["columns"]:
            del column["remark"]
        return {"qualified_name": str(self.name), **values}


def _json(value: Any) -> Any:  # Any: JSON out, any value of this module in
    if isinstance(value, TableName):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return value
