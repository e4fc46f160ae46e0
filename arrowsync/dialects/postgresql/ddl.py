"""The statements that make, stage for and finish a PostgreSQL table. Pure: they are shown before they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from arrowsync.core.plan import Fidelity, Reference, TablePlan
from arrowsync.core.table import Check, Column, ForeignKey, Index, Key, Serial, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects import losses
from arrowsync.dialects.column_mapping import new_names
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.constraint_options import behind_using
from arrowsync.dialects.postgresql.design import BYTES
from arrowsync.dialects.postgresql.names import Part, excludes, free, numbers_itself, parts, usual
from arrowsync.dialects.postgresql.plpgsql import CHECK_NAMES, do_block, make_type, quote_text
from arrowsync.dialects.postgresql.swap import like_old, swap
from arrowsync.dialects.postgresql.write_types import NUMERIC_WIRE

SOURCE = "postgresql"


def statements(dialect: Dialect, plan: TablePlan) -> TablePlan:
    """The plan with what makes its table, what finishes it, its foreign keys, and what it leaves behind."""
    if not plan.write.makes_table:
        return replace(plan, write=replace(plan.write, last=tuple(_advance_sequences(dialect, plan))))
    table = _NewTable(dialect, plan)
    return replace(
        plan,
        write=replace(
            plan.write,
            before=tuple(table.before()),
            builds=tuple(table.builds()),
            last=tuple(table.after()),
        ),
        references=tuple(table.references()),
        warnings=(*plan.warnings, *left_behind(plan)),
    )


class _NewTable:
    """Under `replace` the parts have names of our own until the old table and its parts are gone."""

    def __init__(self, dialect: Dialect, plan: TablePlan) -> None:
        self._quote = dialect.quote
        self._quote_table = dialect.quote_table
        self._plan = plan
        self._target = plan.target
        self._swapped = plan.write.swaps
        self._write_table = dialect.quote_table(plan.write_table)
        self._final = dialect.quote_table(plan.target.name)
        self._parts = parts(plan)

    # -- names -----------------------------------------------------------------------------------------------

    def _beside(self, name: str) -> str:
        """The quoted name in the table's schema."""
        return self._quote_table(replace(self._target.name, name=name))

    def _sequence(self, column: Column) -> str | None:
        return next((self._beside(part.made_as) for part in self._parts if part.of is column), None)

    # -- before the rows -------------------------------------------------------------------------------------

    def before(self) -> Iterator[str]:
        yield from (make_type(type) for type in self._target.types if type.definition)
        if self._parts:
            yield self._check_names()
        for column in self._target.columns:
            if column.default and column.serial:
                yield self._create_sequence(column, column.serial)
        yield self._create_table()
        if self._swapped:
            yield like_old(self._final, self._write_table)
        yield from (self._add_key(part) for part in self._keys() if not self._guaranteed(part))

    def _check_names(self) -> str:
        """A name that is taken would fail only after the last row."""
        schema, names = (
            quote_text(self._target.name.schema or ""),
            ", ".join(quote_text(p.name) for p in self._parts),
        )
        return do_block(CHECK_NAMES.format(schema=schema, names=names, table=quote_text(self._final)))

    def _create_sequence(self, column: Column, serial: Serial) -> str:
        name = self._sequence(column)
        if name is None:  # nobody owns it: other tables may use it already
            return f"create sequence if not exists {self._quote_table(serial.name)}{_options(serial)}"
        return f"create sequence {name}{_options(serial)}"

    def _create_table(self) -> str:
        checks = [check for check in self._target.checks if not excludes(check)]
        lines = [*map(self._column, self._target.columns), *map(self._check, checks)]
        body = ",\n  ".join(lines)
        return f"create table {self._write_table} (\n  {body}\n)"

    def _column(self, column: Column) -> str:
        parts = [self._quote(column.name), column.type]
        if column.collation:
            parts.append(f"collate {column.collation}")
        if column.generated:
            parts.append(
                f"generated always as ({column.generated}) {'virtual' if column.virtual else 'stored'}"
            )
        elif column.identity:
            options = f"sequence name {self._sequence(column)}{_options(column.serial, typed=False)}"
            parts.append(f"generated {column.identity} as identity ({options})")
        elif column.default and (sequence := self._sequence(column)):
            parts.append(f"default nextval({quote_text(sequence)})")
        elif column.default:
            parts.append(f"default {column.default}")
        return " ".join(parts if column.nullable else [*parts, "not null"])

    def _check(self, check: Check) -> str:
        name = f"constraint {self._quote(check.name)} " if check.name else ""
        return f"{name}{check.definition or f'check ({check.expression})'}"

    # -- keys and indexes ------------------------------------------------------------------------------------

    def _keys(self) -> list[Part]:
        return [part for part in self._parts if isinstance(part.of, Key | Check)]

    def _guaranteed(self, part: Part) -> bool:
        """Whether the rows cannot break the key, so that it is built in one go when they are in."""
        exact = {c.target.name for c in self._plan.columns if c.route.fidelity is Fidelity.EXACT}
        exact |= {column.name for column in self._target.columns if column.generated}
        return isinstance(part.of, Key | Check) and exact.issuperset(part.of.columns)

    def _add_key(self, part: Part) -> str:
        key = part.of
        assert isinstance(key, Key | Check)
        word = "primary key" if key is self._target.primary_key else "unique"
        definition = key.definition or f"{word} ({self._list(key.columns)})"
        return f"alter table {self._write_table} add constraint {self._quote(part.made_as)} {definition}"

    def _create_index(self, part: Part) -> str:
        index = part.of
        assert isinstance(index, Index)
        unique = "unique " if index.unique else ""
        if index.definition:
            tail = index.definition[behind_using(index.definition) :]
        else:
            descending = index.descending or (False,) * len(index.columns)
            columns = [
                self._quote(column) + " desc" * down
                for column, down in zip(index.columns, descending, strict=True)
            ]
            tail = f"btree ({', '.join(columns)})"
        return f"create {unique}index {self._quote(part.made_as)} on {self._write_table} using {tail}"

    def _list(self, columns: Sequence[str]) -> str:
        return ", ".join(map(self._quote, columns))

    # -- after the rows --------------------------------------------------------------------------------------

    def builds(self) -> Iterator[str]:
        """What takes long, each in a transaction of its own: an interruption loses one at most."""
        yield from (self._add_key(part) for part in self._keys() if self._guaranteed(part))
        yield from (self._create_index(part) for part in self._parts if isinstance(part.of, Index))

    def after(self) -> Iterator[str]:
        yield from self._finish_sequences()
        if self._swapped:
            renames = [self._rename(part) for part in self._parts]
            yield swap(self._final, self._write_table, self._target.name.name, renames)
        yield from self._comments()

    def _finish_sequences(self) -> Iterator[str]:
        """The next value follows what inspection saw and every value there is; the first without rows."""
        for column in self._target.columns:
            own, name = self._sequence(column), self._quote(column.name)
            if own and not column.identity:
                yield f"alter sequence {own} owned by {self._write_table}.{name}"
            if not self._plan.partitions:
                continue
            if own:
                yield _advance(own, column.serial or _PLAIN_SERIAL, self._write_table, name)
            elif column.default and column.serial:
                yield _advance(self._quote_table(column.serial.name), column.serial)

    def _rename(self, part: Part) -> str:
        made, name = self._beside(part.made_as), self._quote(part.name)
        if part.kind == "constraint":
            return f"alter table {self._final} rename constraint {self._quote(part.made_as)} to {name}"
        return f"alter {part.kind} {made} rename to {name}"

    def _comments(self) -> Iterator[str]:
        table = self._target
        commented: list[tuple[str, str | None]] = [(f"table {self._final}", table.comment)]
        commented += [(f"column {self._final}.{self._quote(c.name)}", c.comment) for c in table.columns]
        for part in self._parts:
            if isinstance(part.of, Key):
                commented.append((f"constraint {self._quote(part.name)} on {self._final}", part.of.comment))
            elif isinstance(part.of, Index):
                commented.append((f"index {self._beside(part.name)}", part.of.comment))
        for check in table.checks:
            if check.name:
                commented.append((f"constraint {self._quote(check.name)} on {self._final}", check.comment))
        yield from filter(None, (self._comment(what, text) for what, text in commented))

    def _comment(self, what: str, text: str | None) -> str | None:
        return f"comment on {what} is {quote_text(text)}" if text else None

    # -- foreign keys ----------------------------------------------------------------------------------------

    def references(self) -> Iterator[Reference]:
        names = {part.name for part in self._parts}
        for key in self._target.foreign_keys:
            other = self._referenced(key)
            name = free(key.name or usual(self._target.name, "fkey", key.columns), names)
            names.add(name)
            definition = key.definition or self._define(key, other)
            add = f"alter table {self._final} add constraint {self._quote(name)} {definition}"
            unchecked = add if definition.endswith(" NOT VALID") else f"{add} not valid"
            comment = self._comment(f"constraint {self._quote(name)} on {self._final}", key.comment)
            yield Reference(name, other, add, unchecked, self._orphans(key, other), comment)

    def _referenced(self, key: ForeignKey) -> TableName:
        if key.references == self._plan.source.name:
            return self._target.name
        return replace(key.references, schema=key.references.schema or self._target.name.schema)

    def _define(self, key: ForeignKey, other: TableName) -> str:
        to = (
            f"{self._quote_table(other)} ({self._list(key.referenced)})"
            if key.referenced
            else self._quote_table(other)
        )
        later = f" deferrable initially {key.deferrable}" if key.deferrable else ""
        match = " match full" if "match full" in key.constraint_options else ""
        return (
            f"foreign key ({self._list(key.columns)}) references {to}{match} "
            f"on delete {key.on_delete} on update {key.on_update}{later}"
        )

    def _orphans(self, key: ForeignKey, other: TableName) -> str:
        columns = [f"child.{self._quote(column)}" for column in key.columns]
        set_ = " and ".join(f"{column} is not null" for column in columns)
        same = " and ".join(
            f"parent.{self._quote(theirs)} = {ours}"
            for theirs, ours in zip(key.referenced, columns, strict=True)
        )
        parent = self._quote_table(other)
        return (
            f"select * from {self._final} as child where {set_} "
            f"and not exists (select from {parent} as parent where {same})"
        )


_PLAIN_SERIAL = Serial(TableName(""), "bigint", 1, 1, 1, 2**63 - 1, 1, False, 1)


def _options(serial: Serial | None, *, typed: bool = True) -> str:
    """What differs from a plain sequence of the type; an identity's sequence has its column's type."""
    if serial is None:
        return ""
    up, half = serial.increment > 0, 1 << 8 * BYTES[serial.type] - 1
    least, most = (1, half - 1) if up else (-half, -1)
    options = [
        (f" as {serial.type}", typed and serial.type != "bigint"),
        (f" increment by {serial.increment}", serial.increment != 1),
        (f" minvalue {serial.minimum}", serial.minimum != least),
        (f" maxvalue {serial.maximum}", serial.maximum != most),
        (f" start with {serial.start}", serial.start != (serial.minimum if up else serial.maximum)),
        (f" cache {serial.cache}", serial.cache != 1),
        (" cycle", serial.cycle),
    ]
    return "".join(text for text, differs in options if differs)


def _advance_sequences(dialect: Dialect, plan: TablePlan) -> Iterator[str]:
    """COPY into an existing table moves no sequence: the next INSERT would meet the rows' own numbers."""
    for column in (plan_column.target for plan_column in plan.columns):
        if column.serial and numbers_itself(column):
            sequence = dialect.quote_table(column.serial.name)
            table, name = dialect.quote_table(plan.target.name), dialect.quote(column.name)
            yield _advance(sequence, column.serial, table, name)


def _advance(sequence: str, serial: Serial, table: str | None = None, column: str | None = None) -> str:
    """Set the sequence to the furthest of its column's rows, the source's last value and its own.

    One that no column owns may serve many, and expressions over it: no column says how far it is.
    """
    literal, up = quote_text(sequence), serial.increment > 0
    used = f"(select {'max' if up else 'min'}({column}) from {table})" if column else "null"
    seen = "null" if serial.next == serial.start else str(serial.next - serial.increment)
    known = f"{used}, {seen}, pg_sequence_last_value({literal}::regclass)"
    furthest = f"{'greatest' if up else 'least'}({known})"
    kept = f"least(v, {serial.maximum})" if up else f"greatest(v, {serial.minimum})"
    begun = f"v >= {serial.minimum}" if up else f"v <= {serial.maximum}"
    restarted = serial.next != serial.start  # and where that is its very first value, none stands before it
    first = f" else setval({literal}, {serial.next}, false)" if restarted else ""
    return do_block(
        f"begin if has_sequence_privilege({literal}, 'update') then perform "
        f"case when {begun} then setval({literal}, {kept}){first} end "
        f"from (select {furthest}::bigint as v) as used; end if; end"
    )


def left_behind(plan: TablePlan) -> Iterator[str]:
    """What the source's table has and the new one will not, one sentence each."""
    source, target = plan.source, plan.target
    yield from losses.of_table(source, target, new_names(source, plan.transfer))
    for what, before, after in (
        ("unique constraint", source.unique, target.unique),
        ("index", source.indexes, target.indexes),
        ("foreign key", source.foreign_keys, target.foreign_keys),
        ("check", source.checks, target.checks),
    ):
        missing = Counter(part.name for part in before) - Counter(part.name for part in after)
        for name in missing.elements():
            yield f"{what} {name!r} is not carried over" if name else f"a {what} is not carried over"


# -- views -------------------------------------------------------------------------------------------------


def view(dialect: Dialect, table: Table, transfer: Transfer) -> Iterator[str]:
    """What makes the view again; a materialized one is filled from the target's own tables."""
    if table.view is None:
        return
    kind = "materialized view" if table.view.materialized else "view"
    filled = table.view.populated and not transfer.schema_only
    yield from (make_type(type) for type in table.types if type.definition)
    yield table.view.statement + (" with no data" if table.view.materialized and not filled else "")
    name = dialect.quote_table(table.name)
    columns = [(f"{name}.{dialect.quote(column.name)}", column) for column in table.columns]
    for column in (column for column in table.columns if column.default):
        yield f"alter view {name} alter column {dialect.quote(column.name)} set default {column.default}"
    yield from (index.definition for index in table.indexes if index.definition)
    commented = [
        (f"{kind} {name}", table.comment),
        *((f"column {place}", column.comment) for place, column in columns),
        *(
            (f"index {dialect.quote_table(replace(table.name, name=index.name))}", index.comment)
            for index in table.indexes
        ),
    ]
    yield from (f"comment on {what} is {quote_text(text)}" for what, text in commented if text)


# -- staging -----------------------------------------------------------------------------------------------


def staging(dialect: Dialect, plan: TablePlan) -> tuple[str, ...]:
    """A temporary table that takes each column as its route delivers it."""
    storages = [(column.target, column.route.storage) for column in plan.columns]
    columns = ", ".join(
        f"{dialect.quote(target.name)} {storage.staging or target.type}" for target, storage in storages
    )
    table = f"create temporary table {dialect.quote(plan.staging_name)} ({columns}) on commit drop"
    if all(storage.staging != NUMERIC_WIRE for _, storage in storages):
        return (table,)
    return (
        f"do $$ begin if to_regtype('{NUMERIC_WIRE}') is null then "
        f"create domain {NUMERIC_WIRE} as numeric; end if; end $$",
        table,
    )


def insert_from_staging(dialect: Dialect, plan: TablePlan) -> tuple[str, ...]:
    staged = f"pg_temp.{dialect.quote(plan.staging_name)}"
    names = [dialect.quote(column.target.name) for column in plan.columns]
    values = [
        column.route.storage.insert.replace("{}", name)
        for column, name in zip(plan.columns, names, strict=True)
    ]
    overriding = (
        "overriding system value " if any(c.target.identity == "always" for c in plan.columns) else ""
    )
    return (
        f"insert into {dialect.quote_table(plan.write_table)} ({', '.join(names)}) {overriding}"
        f"select {', '.join(values)} from {staged}",
        f"truncate {staged}",
    )


def drop(dialect: Dialect, tables: Sequence[Table]) -> Iterator[str]:
    """Views one by one, those first that read others; tables at once, which their keys then do not hold."""
    for table in reversed(tables):
        if table.kind == "view":
            kind = "materialized view" if table.view and table.view.materialized else "view"
            yield f"drop {kind} {dialect.quote_table(table.name)}"
    names = [dialect.quote_table(table.name) for table in tables if table.kind != "view"]
    if names:
        yield f"drop table {', '.join(names)}"
