"""What the keys, indexes and sequences of a new PostgreSQL table are called; ddl.py makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Check, Column, Index, Key, TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.design import DIALECT
from arrowsync.dialects.postgresql.plpgsql import TAKEN, quote_text

NAME_BYTES = 63  # the server cuts longer names
STEM_BYTES = 40  # with which every name of our making begins: less than `usual` leaves of a long one

Of: TypeAlias = Key | Check | Index | Column


@dataclass(frozen=True, slots=True)
class Part:
    """A constraint, index or sequence with the name it will bear, and the one it has while rows come in."""

    kind: str
    name: str
    made_as: str
    of: Of


@dataclass(frozen=True, slots=True)
class _Wish:
    """A part whose name is its own, one that it would like to have, or only the usual one."""

    kind: str
    wanted: str | None
    usual: str
    of: Of
    firm: bool


def parts(plan: TablePlan) -> list[Part]:
    """The parts of the plan's table; those without a name of their own avoid `reserved_names`."""
    wishes = _wishes(plan)
    taken = {*plan.reserved_names, *_own(wishes)}
    made = []
    for number, wish in enumerate(wishes):
        name = wish.wanted if wish.wanted and wish.firm else free(wish.wanted or wish.usual, taken)
        taken.add(name)
        made.append(Part(wish.kind, name, f"{plan.own_name}_{number}" if plan.write.swaps else name, wish.of))
    return made


def _own(wishes: Sequence[_Wish]) -> set[str]:
    return {wish.wanted for wish in wishes if wish.wanted and wish.firm}


def _wishes(plan: TablePlan) -> list[_Wish]:
    table, name = plan.target, plan.target.name
    primary = [table.primary_key] if table.primary_key else []
    numbered = [column for column in table.columns if numbers_itself(column)]
    # Elsewhere two tables' constraints may have one name, and a table that name, too.
    firm = plan.source.dialect == DIALECT
    wishes = [
        *(_Wish("constraint", key.name, usual(name, "pkey"), key, firm) for key in primary),
        *(_Wish("constraint", key.name, usual(name, "key", key.columns), key, firm) for key in table.unique),
        *(_Wish("constraint", c.name, usual(name, "excl"), c, True) for c in table.checks if excludes(c)),
        *(_Wish("index", each.name, usual(name, "idx", each.columns), each, True) for each in table.indexes),
        *(_Wish("sequence", _sequence(c), usual(name, "seq", (c.name,)), c, True) for c in numbered),
    ]
    # A copy under another name may stand beside its origin, whose parts have the origin's names.
    keeps = plan.source.name.name == name.name
    return wishes if keeps else [replace(wish, wanted=None) for wish in wishes]


def _sequence(column: Column) -> str | None:
    return column.serial.name.name if column.serial else None


def usual(table: TableName, suffix: str, columns: Sequence[str] = ()) -> str:
    """As PostgreSQL would call it; where that would be cut off, no other table's part has the name."""
    stem, room = "_".join((table.name, *columns)), NAME_BYTES - len(suffix) - 3
    if len(stem.encode()) > room:
        mark = hashlib.sha256(stem.encode()).hexdigest()[:6]
        stem = f"{stem.encode()[: room - 7].decode(errors='ignore')}_{mark}"
    return f"{stem}_{suffix}"


def free(wanted: str, taken: Collection[str]) -> str:
    """The name, or as PostgreSQL goes on: with the first number that makes it one of its own."""
    return next(name for n in range(len(taken) + 1) if (name := f"{wanted}{n or ''}") not in taken)


def excludes(check: Check) -> bool:
    """Whether it is an exclusion constraint, which has an index."""
    return (check.definition or "").startswith("EXCLUDE ")


def numbers_itself(column: Column) -> bool:
    return column.identity is not None or (
        column.default is not None and column.serial is not None and column.serial.owned
    )


# -- what others are called --------------------------------------------------------------------------------


def reserve_names(dialect: Dialect, connection: Connection, plans: Sequence[TablePlan]) -> list[TablePlan]:
    """See Sink.apart: a table may be called what PostgreSQL calls another one's key, orders_pkey."""
    taken = {name for plan in plans for name in _given(plan)}
    told = []
    for plan in plans:
        if _makes_parts(plan):
            begin = _beginnings(plan)
            others = {
                each.name
                for each in taken
                if each.schema == plan.target.name.schema and each.name.startswith(begin)
            }
            plan = replace(
                plan, reserved_names=tuple(sorted(others | _there(dialect, connection, plan, begin)))
            )
            taken.update(replace(plan.target.name, name=part.name) for part in parts(plan))
        told.append(plan)
    return told


def _makes_parts(plan: TablePlan) -> bool:
    return bool(plan.columns) and plan.write.makes_table


def _given(plan: TablePlan) -> Iterator[TableName]:
    """What the plan makes by names that are not ours to choose."""
    yield plan.target.name
    if _makes_parts(plan):
        yield from (replace(plan.target.name, name=name) for name in _own(_wishes(plan)))


def _beginnings(plan: TablePlan) -> tuple[str, ...]:
    """With what every name begins that the plan may choose."""
    stem = plan.target.name.name.encode()[:STEM_BYTES].decode(errors="ignore")
    return stem, *(wish.wanted for wish in _wishes(plan) if wish.wanted and not wish.firm)


def _there(dialect: Dialect, connection: Connection, plan: TablePlan, begin: Sequence[str]) -> set[str]:
    """The relations in the target that are not the table's own."""
    name = plan.target.name
    begins = " or ".join(f"starts_with(c.relname::text, {quote_text(text)})" for text in begin)
    taken = TAKEN.format(schema=quote_text(name.schema or ""), table=quote_text(dialect.quote_table(name)))
    rows = connection.rows(f"select c.relname::text {taken} and ({begins})")
    return {str(found) for (found,) in rows}
