"""The statements that make, stage for, and finish a SQLite table. Pure: they are shown before they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Column, ForeignKey, Index, Key, Serial, Table, not_carried
from arrowsync.dialects import losses
from arrowsync.dialects.column_mapping import new_names
from arrowsync.dialects.sqlite.sql import MARK, quote

_ROWID_TYPES = {"int2", "int4", "int8", "integer"}
_RULES = (" not null", " CHECK (")  # of a domain, as its definition has them
_MAXIMA = (2**15 - 1, 2**31 - 1, 2**63 - 1)  # of sequences that nobody has limited


def statements(plan: TablePlan) -> TablePlan:
    """The plan with what makes its table, what finishes it, and what of the source it cannot carry."""
    if not plan.write.makes_table:
        return plan
    target, write_table = plan.target, plan.write_table.name
    after = [create_index(index, target.name.name) for index in target.indexes]
    if plan.write.swaps:
        # The old table's indexes go with it, so that the new ones can bear their names.
        swap = [
            f"drop table {quote(target.name.name)}",
            f"alter table {quote(write_table)} rename to {quote(target.name.name)}",
        ]
        after = [*swap, *after, *(each.definition for each in target.dependents if each.definition)]
    return replace(
        plan,
        write=replace(
            plan.write,
            before=(create_table(target, write_table),),
            last=(*after, *_count_on(plan)),
        ),
        warnings=(*plan.warnings, *_left_behind(plan)),
    )


# -- the table ---------------------------------------------------------------------------------------------


def create_table(table: Table, name: str) -> str:
    """SQLite cannot add a constraint to a table that exists: all of them stand here, before the rows."""
    rowid = rowid_alias(table)
    lines = [_column(column, table, rowid) for column in table.columns]
    if table.primary_key and rowid is None and not any(_is_descending(c, table) for c in table.columns):
        lines.append(_constraint(table.primary_key, "primary key"))
    lines += [_constraint(key, "unique") for key in table.unique]
    lines += [f"{_named(check.name)}check ({check.expression})" for check in table.checks]
    lines += [_foreign_key(key) for key in table.foreign_keys]
    mark = f"{MARK} " if any(column.origin.dialect == "postgresql" for column in table.columns) else ""
    body = ",\n  ".join(lines)
    options = " " + ", ".join(table.options) if table.options else ""
    return f"create table {quote(name)} (\n  {mark}{body}\n){options}"


def _count_on(plan: TablePlan) -> Iterator[str]:
    """AUTOINCREMENT goes on where the source's does; where its rows end, it goes on by itself."""
    target, column = plan.target, rowid_alias(plan.target)
    if column is None or column.serial is None or not _autoincrement(column, target.primary_key):
        return
    last = column.serial.next - column.serial.increment
    if last < 1 or not plan.partitions:
        return  # no number was given yet, or none to rows of this table
    name = "'" + target.name.name.replace("'", "''") + "'"
    mine = f"from sqlite_sequence where name = {name}"
    yield f"insert into sqlite_sequence (name, seq) select {name}, 0 where not exists (select 1 {mine})"
    yield f"update sqlite_sequence set seq = max(seq, {last}) where name = {name}"


def rowid_alias(table: Table) -> Column | None:
    """The primary key that can be the rowid itself: one integer column; saves an index and its upkeep."""
    if table.primary_key is None or len(table.primary_key.columns) != 1:
        return None
    column = table.column(table.primary_key.columns[0])
    if column.origin.dialect == "sqlite" and not column.identity:
        return None  # somebody's INT PRIMARY KEY may hold NULL and text, which an alias may not
    return column if column.type.lower() in _ROWID_TYPES else None


def _is_descending(column: Column, table: Table) -> bool:
    """Whether it is INTEGER PRIMARY KEY DESC, which is no rowid as long as it is the column that says so."""
    key = table.primary_key
    alone = key is not None and key.columns == (column.name,) and rowid_alias(table) is None
    return alone and column.type.upper() == "INTEGER" and "without rowid" not in table.options


def _column(column: Column, table: Table, rowid: Column | None) -> str:
    parts = [quote(column.name)]
    if column is rowid:
        # Only a column declared INTEGER is the rowid; the comment keeps the type.
        parts.append("INTEGER" if column.type.upper() == "INTEGER" else f"INTEGER /* {column.type} */")
        parts.append(_rowid_key(column, table.primary_key))
    elif _is_descending(column, table):
        named = _named(table.primary_key.name if table.primary_key else None)
        parts += ["INTEGER", f"{named}primary key desc", *_conflict(table.primary_key)]
    elif column.type:
        parts.append(_declared(column))
    elif "strict" in table.options:
        parts.append("ANY")
    if column.generated is not None:
        parts.append(f"generated always as ({column.generated}){'' if column.virtual else ' stored'}")
    if not column.nullable:
        parts.append(f"not null on conflict {column.on_null}" if column.on_null else "not null")
    if column.default is not None:
        parts.append(f"default ({column.default})")  # PRAGMAs drop the brackets that expressions need
    if column.collation:
        parts.append(f"collate {quote(column.collation)}")
    return " ".join(parts)


def _declared(column: Column) -> str:
    """One quoted name, so that SQLite keeps it to the letter; STRICT's own words need no quotes."""
    return quote(column.type)


def _rowid_key(column: Column, key: Key | None) -> str:
    named = _named(key.name if key else None)
    counted = ["autoincrement"] if _autoincrement(column, key) else []
    return " ".join([f"{named}primary key", *_conflict(key), *counted])


def _autoincrement(column: Column, key: Key | None) -> bool:
    theirs = "AUTOINCREMENT" in ((key and key.definition) or "").upper()
    # PostgreSQL's identity counts on after a delete, as AUTOINCREMENT does; a plain rowid is people's own.
    return theirs or (column.identity is not None and column.origin.dialect == "postgresql")


def _constraint(key: Key, kind: str) -> str:
    if key.definition and key.definition.lstrip().upper().startswith(kind.upper()) and "(" in key.definition:
        return f"{_named(key.name)}{key.definition}"  # with ON CONFLICT, COLLATE and DESC
    return " ".join([f"{_named(key.name)}{kind} ({_names(key.columns)})", *_conflict(key)])


def _conflict(key: Key | None) -> list[str]:
    return [option for option in key.constraint_options if option.startswith("on conflict ")] if key else []


def _foreign_key(key: ForeignKey) -> str:
    referenced = f" ({_names(key.referenced)})" if key.referenced else ""
    parts = [f"{_named(key.name)}foreign key ({_names(key.columns)})"]
    parts += [f"references {quote(key.references.name)}{referenced}"]
    parts += [f"on {event} {action}" for event, action in _actions(key)]
    if key.deferrable:
        parts.append(f"deferrable initially {key.deferrable}")
    return " ".join(parts)


def _actions(key: ForeignKey) -> Iterator[tuple[str, str]]:
    for event, action in (("delete", key.on_delete), ("update", key.on_update)):
        if action != "no action":
            yield event, action


def _named(name: str | None) -> str:
    return f"constraint {quote(name)} " if name else ""


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(quote(column) for column in columns)


def create_index(index: Index, table: str) -> str:
    if index.definition:
        return index.definition
    descending = index.descending or (False,) * len(index.columns)
    columns = ", ".join(
        quote(c) + (" desc" if d else "") for c, d in zip(index.columns, descending, strict=True)
    )
    return (
        f"create {'unique ' if index.unique else ''}index {quote(index.name)} on {quote(table)} ({columns})"
    )


# -- what stays behind -------------------------------------------------------------------------------------


def _left_behind(plan: TablePlan) -> Iterator[str]:
    """What the source's table has and the new one will not, one sentence each."""
    source, target = plan.source, plan.target
    rowid = rowid_alias(target)
    yield from losses.of_table(source, target, new_names(source, plan.transfer))
    for type in source.types:
        if type.kind == "domain" and any(rule in (type.definition or "") for rule in _RULES):
            yield f"domain {type.name}: its rules are not carried over"
    for option in source.options if source.dialect == target.dialect else ():
        if option not in target.options:
            yield f"{option} is not carried over"
    for column, made in zip(source.columns, target.columns, strict=True):
        if made.identity and made is not rowid and source.dialect != target.dialect:
            yield f"column {column.name!r} will not number new rows: only a primary key alone does in SQLite"
        elif column.serial and made is rowid and (odd := list(_odd(column.serial))):
            yield f"column {column.name!r}: {not_carried(odd)}"
    kept = {check.expression for check in target.checks}
    for check in source.checks:
        if check.expression not in kept:
            what = f"check {check.name!r}" if check.name else "a check"
            yield f"{what} is not carried over: {check.expression}"
    made_indexes = {index.name for index in target.indexes}
    for index in source.indexes:
        if not made_indexes & {index.name, f"{target.name.name}_{index.name}"}:
            yield f"index {index.name!r} is not carried over"
    if source.comment or any(column.comment for column in source.columns):
        yield "comments are not carried over: SQLite has none"


def _odd(serial: Serial) -> Iterator[str]:
    """What AUTOINCREMENT cannot do."""
    if serial.increment != 1:
        yield f"increment by {serial.increment}"
    if serial.increment > 0 and serial.maximum not in _MAXIMA:
        yield f"maxvalue {serial.maximum}"
    if serial.cycle:
        yield "cycle"


# -- staging -----------------------------------------------------------------------------------------------


def staging(plan: TablePlan) -> tuple[str, ...]:
    """A view that nothing is read from: its trigger passes each row on, converted, into the target.

    Nothing staged to empty, total_changes() counts a row once, and it is 40 ns a row cheaper than a table.
    """
    name, target = quote(plan.staging_name), quote(plan.write_table.name)
    columns = [column.target.name for column in plan.columns]
    values = [
        column.route.storage.insert.replace("{}", f"new.{quote(column.target.name)}")
        for column in plan.columns
    ]
    # The trigger names no schema, which SQLite forbids; nothing temporary has the target's name.
    return (
        f"drop view if exists temp.{name}",  # that of the connection's last transaction, trigger and all
        f"create temp view {name} as select {', '.join(f'null as {quote(column)}' for column in columns)}",
        f"create temp trigger {quote(plan.staging_name + '_insert')} instead of insert on {name} begin "
        f"insert into {target} ({_names(tuple(columns))}) values ({', '.join(values)}); end",
    )
