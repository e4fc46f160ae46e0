"""Inspects SQLite by PRAGMAs, and by the SQL that made a table for what they do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.table import (
    Check,
    Column,
    Dependent,
    ForeignKey,
    Index,
    Key,
    NativeType,
    Serial,
    Table,
    TableName,
)
from arrowsync.core.units import GiB, MiB
from arrowsync.dialects.sqlite.defaults import original_default
from arrowsync.dialects.sqlite.read_types import original_type
from arrowsync.dialects.sqlite.sql import (
    Constraint,
    CreateTable,
    conflict_clause,
    module,
    parse_create_table,
    partial_index_condition,
    quote,
)
from arrowsync.errors import SchemaError

# Another connection's ALTER TABLE goes unseen by the first query after it; this one sees it for all others.
REFRESH = "select count(*) from sqlite_master"
# A smaller file is counted exactly, in 20 ms; of others the rowids tell, or where there are none a count, as
# long as it takes less than a second.
COUNTED = 128 * MiB
COUNTED_WITHOUT_ROWID = 1 * GiB
SAMPLE_ROWS = 500

_Rows = list[tuple[Any, ...]]  # Any: SQL values


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of PRAGMA table_list."""

    name: str
    kind: str  # table, view, virtual, shadow
    without_rowid: bool
    strict: bool

    @property
    def options(self) -> tuple[str, ...]:
        """As they stand behind CREATE TABLE's parentheses."""
        asked = (("strict", self.strict), ("without rowid", self.without_rowid))
        return tuple(word for word, given in asked if given and self.kind == "table")


def listed(connection: Connection) -> list[Listed]:
    connection.run(REFRESH)
    rows = connection.rows(
        "select name, type, wr, strict from pragma_table_list where schema = 'main' order by name"
    )
    return [Listed(str(name), str(kind), bool(wr), bool(strict)) for name, kind, wr, strict in rows]


def names(connection: Connection, *, views: bool) -> list[TableName]:
    """Tables with rows of their own; the shadow tables of full-text and spatial indexes come with those."""
    kinds = {"table", "virtual", "view"} if views else {"table", "virtual"}
    ours = ("sqlite_", "arrowsync_")
    return [
        TableName(table.name)
        for table in listed(connection)
        if table.kind in kinds and not table.name.lower().startswith(ours)
    ]


def describe(connection: Connection, wanted: Sequence[TableName]) -> list[Table]:
    found = {table.name: table for table in listed(connection)}
    nbytes = file_bytes(connection)
    return [_named(connection, found[name.name], nbytes) for name in wanted if name.name in found]


def _named(connection: Connection, entry: Listed, nbytes: int) -> Table:
    """The table; an error in it (a view of what is gone, a module that is not here) says which it is."""
    try:
        return _describe(connection, entry, nbytes)
    except SchemaError as error:
        raise error.at(table=entry.name) from error.__cause__


def describe_query(connection: Connection, name: TableName, query: str) -> Table:
    """A temporary view tells the query's columns with their declared types; it changes no file."""
    text = query.strip().rstrip(";").rstrip()
    connection.run(f"create temp view arrowsync_query as {text}")
    try:
        columns = _columns(
            connection, "arrowsync_query", CreateTable(), Listed("", "view", False, False), alias=False
        )
    finally:
        connection.run("drop view temp.arrowsync_query")
    return Table(name, "sqlite", columns, kind="query", definition=text)


def rowid_name(connection: Connection, table: Table) -> str | None:
    """A name by which the rowid can be had; None where there is none, or columns hide all its names."""
    entry = next((entry for entry in listed(connection) if entry.name == table.name.name), None)
    if entry is None or entry.kind != "table" or entry.without_rowid:
        return None
    # Of the table there: a column that is not copied hides the rowid all the same.
    rows = connection.rows("select name from pragma_table_xinfo(?)", (entry.name,))
    taken = {str(name).lower() for (name,) in rows}
    free = [name for name in ("rowid", "_rowid_", "oid") if name not in taken]
    if free:
        return free[0]
    return next((column.name for column in table.columns if column.identity), None)


def _describe(connection: Connection, entry: Listed, nbytes: int) -> Table:
    sql = _value(
        connection, "select sql from sqlite_master where name = ? and type in ('table', 'view')", entry.name
    )
    made = parse_create_table(sql or "") if entry.kind == "table" else CreateTable()
    indexes = connection.rows(
        'select name, "unique", origin, partial from pragma_index_list(?) order by seq', (entry.name,)
    )
    info = connection.rows(
        "select name, type, pk from pragma_table_xinfo(?) where pk > 0 order by pk", (entry.name,)
    )
    alias = (
        len(info) == 1
        and str(info[0][1]).upper() == "INTEGER"
        and not entry.without_rowid
        and not any(origin == "pk" for _, _, origin, _ in indexes)
    )
    columns = _columns(connection, entry.name, made, entry, alias=alias)
    if any(c.kind == "PRIMARY" and "AUTOINCREMENT" in c.text.upper() for c in made.constraints):
        serial = _serial(connection, entry.name)
        columns = tuple(replace(column, serial=serial) if column.identity else column for column in columns)
    table = Table(
        TableName(entry.name),
        "sqlite",
        columns,
        kind="view" if entry.kind == "view" else "table",
        primary_key=_primary_key(connection, [str(name) for name, _, _ in info], indexes, made),
        unique=_unique(connection, indexes, made),
        checks=tuple(
            Check(c.name, c.expression, definition=c.text) for c in made.constraints if c.kind == "CHECK"
        ),
        foreign_keys=_foreign_keys(connection, entry.name, made),
        indexes=_indexes(connection, indexes, made),
        definition=sql if entry.kind == "view" else None,
        options=entry.options,
        dependents=tuple(_dependents(connection, entry, sql or "")),
    )
    return table if entry.kind == "view" else _sized(connection, table, nbytes)


def _dependents(connection: Connection, entry: Listed, sql: str) -> Iterator[Dependent]:
    if entry.kind == "virtual":
        yield Dependent("virtual table module", module(sql))
    query = (
        "select name, sql from sqlite_master where type = 'trigger' and lower(tbl_name) = lower(?) order by 1"
    )
    for name, definition in connection.rows(query, (entry.name,)):
        yield Dependent("trigger", str(name), str(definition))


def _columns(
    connection: Connection, name: str, made: CreateTable, entry: Listed, *, alias: bool
) -> tuple[Column, ...]:
    rows = connection.rows(
        'select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?) where hidden <> 1',
        (name,),
    )
    return tuple(_column(made, entry, alias, *row) for row in rows)


def _column(
    made: CreateTable,
    entry: Listed,
    alias: bool,
    name: Any,
    declared: Any,
    notnull: Any,
    default: Any,
    pk: Any,
    hidden: Any,
) -> Column:  # Any: SQL values
    marked = made.marked and original_type(made.comments.get(name, "") if alias and pk else declared)
    autoincrement = any(c.kind == "PRIMARY" and "AUTOINCREMENT" in c.text.upper() for c in made.constraints)
    # A rowid alias numbers its rows by itself; ours does only where the original did, and then says so.
    identity: Literal["by default"] | None = (
        "by default" if pk and alias and (autoincrement or not marked) else None
    )
    # In a STRICT table ANY is no affinity, elsewhere it is NUMERIC's: here it is a column without a type.
    free = entry.strict and str(declared).upper() == "ANY"
    return Column(
        name,
        "" if free else declared,
        NativeType("postgresql", marked) if marked else NativeType("sqlite", declared),
        nullable=not (notnull or (pk and (alias or entry.without_rowid or entry.strict))),
        default=(original_default(default) if marked else default) if hidden == 0 else None,
        identity=identity,
        generated=made.generated.get(name) if hidden in (2, 3) else None,
        collation=_collation(made.collations.get(name)),
        virtual=hidden == 2,
        on_null=made.on_null.get(name),
    )


def _collation(written: str | None) -> str | None:
    """None, too, for the one that every column has."""
    return None if written is None or written.upper() == "BINARY" else written


def _serial(connection: Connection, name: str) -> Serial:
    """How far AUTOINCREMENT has counted: it gives no number twice, not even a deleted row's."""
    query = "select max(seq) from sqlite_sequence where name = ? and typeof(seq) = 'integer'"
    last = _value(connection, query, name) or 0
    return Serial(TableName("sqlite_sequence"), "bigint", 1, 1, 1, 2**63 - 1, 1, False, int(last) + 1)


def _primary_key(connection: Connection, columns: list[str], indexes: _Rows, made: CreateTable) -> Key | None:
    if not columns:
        return None
    index = next((name for name, _, origin, _ in indexes if origin == "pk"), None)  # a rowid has none
    members = _members(connection, index) if index else []
    return _key(tuple(columns), members, next((c for c in made.constraints if c.kind == "PRIMARY"), None))


def _key(columns: tuple[str, ...], members: _Rows, written: Constraint | None) -> Key:
    constraint_options = (*_collations(members), *conflict_clause(written.text if written else ""))
    if written is None:
        return Key(None, columns, constraint_options=constraint_options)
    return Key(written.name, columns, written.text, constraint_options=constraint_options)


def _collations(members: _Rows) -> tuple[str, ...]:
    """Those by which an index holds different texts equal."""
    return tuple(dict.fromkeys(f"collate {name.lower()}" for *_, name in members if name.upper() != "BINARY"))


def _unique(connection: Connection, indexes: _Rows, made: CreateTable) -> tuple[Key, ...]:
    keys: list[Key] = []
    left = list(made.constraints)
    for name, _, origin, _ in reversed(indexes):  # the list begins with the newest
        if origin == "u":
            members = _members(connection, name)
            columns = tuple(str(column) for column, *_ in members)
            if written := _written(left, "UNIQUE", columns):
                left.remove(written)  # another one of the same columns has another collation
            keys.append(_key(columns, members, written))
    return tuple(keys)


def _indexes(connection: Connection, indexes: _Rows, made: CreateTable) -> tuple[Index, ...]:
    return tuple(
        _index(connection, str(name), bool(unique), made)
        for name, unique, origin, _ in reversed(indexes)
        if origin == "c"
    )


def _index(connection: Connection, name: str, unique: bool, made: CreateTable) -> Index:
    sql = _value(connection, "select sql from sqlite_master where type = 'index' and name = ?", name) or ""
    members = _members(connection, name)
    plain = all(column is not None for column, *_ in members)
    descending = tuple(bool(desc) for _, desc, _ in members)
    # Whose order is the column's own says nothing new, unless it also decides which rows are let in.
    told = [
        (column, desc, its) for column, desc, its in members if unique or its != made.collations.get(column)
    ]
    return Index(
        name,
        tuple(str(column) for column, *_ in members) if plain else (),
        unique,
        descending if any(descending) else (),
        partial_index_condition(sql),
        sql,
        constraint_options=_collations(told) if plain else (),
    )


def _members(connection: Connection, index: str) -> _Rows:
    """Name (None: an expression), descending and collation of the index's own columns."""
    return connection.rows(
        'select name, "desc", coll from pragma_index_xinfo(?) where key order by seqno', (index,)
    )


def _foreign_keys(connection: Connection, name: str, made: CreateTable) -> tuple[ForeignKey, ...]:
    rows = connection.rows(
        'select id, "table", "from", "to", on_update, on_delete from pragma_foreign_key_list(?) '
        "order by id desc, seq",
        (name,),
    )
    keys: dict[Any, list[tuple[Any, ...]]] = {}
    for number, *row in rows:
        keys.setdefault(number, []).append(tuple(row))
    return tuple(_foreign_key(connection, parts, made) for parts in keys.values())


def _foreign_key(connection: Connection, parts: _Rows, made: CreateTable) -> ForeignKey:
    table, _, _, on_update, on_delete = parts[0]
    columns = tuple(str(own) for _, own, *_ in parts)
    referenced = tuple(str(other) for _, _, other, *_ in parts)
    if parts[0][2] is None:
        referenced = _primary_key_columns(connection, str(table))
    written = _written(made.constraints, "REFERENCES", columns)
    text = written.text.upper() if written else ""
    deferrable: Literal["deferred", "immediate"] | None = None
    if "DEFERRABLE" in text and "NOT DEFERRABLE" not in text:
        deferrable = "deferred" if "INITIALLY DEFERRED" in " ".join(text.split()) else "immediate"
    return ForeignKey(
        written.name if written else None,
        columns,
        TableName(str(table)),
        referenced,
        str(on_delete).lower(),
        str(on_update).lower(),
        deferrable,
    )


def _primary_key_columns(connection: Connection, table: str) -> tuple[str, ...]:
    """What `references p` means; nothing where p is a virtual table whose module is missing."""
    try:
        rows = connection.rows("select name from pragma_table_xinfo(?) where pk > 0 order by pk", (table,))
    except SchemaError:
        return ()
    return tuple(str(name) for (name,) in rows)


def _written(constraints: Sequence[Constraint], kind: str, columns: tuple[str, ...]) -> Constraint | None:
    folded = [column.lower() for column in columns]
    same = (c for c in constraints if c.kind == kind and [name.lower() for name in c.columns] == folded)
    return next(same, None)


def _sized(connection: Connection, table: Table, nbytes: int) -> Table:
    """Rows, counted where that is cheap in a file of `nbytes`, and about how many bytes they have."""
    name = quote(table.name.name)
    width = _row_bytes(connection, table)
    rowid = rowid_name(connection, table)
    if nbytes <= (COUNTED if rowid else COUNTED_WITHOUT_ROWID):
        # Its own pages, which the copy reads too; an index may need a collation that only an application has.
        rows = int(_value(connection, f"select count(*) from {name} not indexed"))
        return replace(table, rows=rows, rows_exact=True, bytes=rows * width)
    if rowid is None:
        return table
    low, high = rowid_bounds(connection, table, rowid) or (0, -1)
    rows = min(high - low + 1, nbytes // width)  # rowids may be far apart
    return replace(table, rows=rows, bytes=rows * width)


def _row_bytes(connection: Connection, table: Table) -> int:
    """The mean width of the first rows in Arrow's memory."""
    widths = ", ".join(f"avg(max(8, coalesce(octet_length({quote(c.name)}), 0)))" for c in table.columns)
    found = one_row(connection, f"select {widths} from {first_rows(table, SAMPLE_ROWS)}")
    return max(1, round(sum(width or 0 for width in found)))


def rowid_bounds(connection: Connection, table: Table, rowid: str) -> tuple[int, int] | None:
    """The lowest and the highest rowid; None of an empty table. Each on its own is a step down the tree."""
    source = quote(table.name.name)
    query = f"select (select min({rowid}) from {source}), (select max({rowid}) from {source})"
    [(low, high)] = connection.rows(query)  # both in one select read every row: 60 ns each
    return (low, high) if isinstance(low, int) and isinstance(high, int) else None


def first_rows(table: Table, rows: int) -> str:
    """A relation of a table's first rows, without the collations that only an application may have."""
    columns = ", ".join(f"{quote(c.name)} collate binary as {quote(c.name)}" for c in table.columns)
    return f"(select {columns} from {quote(table.name.name)} limit {rows})"


def rows_all_over(table: Table, rowid: str, bounds: tuple[int, int], rows: int, places: int) -> str:
    """A relation of a table's first and last rows and of some in between: so many rows in each place."""
    columns = ", ".join(f"{quote(c.name)} collate binary as {quote(c.name)}" for c in table.columns)
    low, high = bounds
    starts = [low + (high - low) * place // (places - 1) for place in range(places - 1)]
    ranges = [f"where {rowid} >= {start} order by {rowid}" for start in starts] + [f"order by {rowid} desc"]
    # Not by an index: it may need a collation that only an application has.
    parts = [
        f"select * from (select {columns} from {quote(table.name.name)} not indexed {each} limit {rows})"
        for each in ranges
    ]
    return f"({' union all '.join(parts)})"


def one_row(connection: Connection, query: str) -> list[Any]:  # Any: SQL values
    """The only row of a query with many columns, without room for more.

    For 1,500 columns and all the rows that catalogue queries may have, the driver took 8 MiB and kept them.
    """
    with connection.stream(query, {"adbc.sqlite.query.batch_rows": "1"}) as batches:
        return [column[0].as_py() for column in next(batches).columns]


def file_bytes(connection: Connection) -> int:
    return int(_value(connection, "select page_count * page_size from pragma_page_count, pragma_page_size"))


def _value(connection: Connection, query: str, *parameters: object) -> Any:  # Any: a SQL value
    rows = connection.rows(query, parameters)
    return rows[0][0] if rows else None
