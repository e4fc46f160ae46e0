"""The SQL that tells the staged rows a target takes from those it refuses. What is refused, dialects say.

A row that no check finds is found by the INSERT itself; one that a check finds wrongly is put aside for
nothing. So a check that is not sure is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ORDINAL = "arrowsync_ordinal"  # the staging's column with each row's place in its batch


@dataclass(frozen=True, slots=True)
class Violation:
    """A reason to refuse rows: `predicate` over `s`, the staged rows under the target's names, is true.

    `needs` is the query for the ordinals of staged rows and of those without which it is true of them, too.
    """

    predicate: str
    message: str
    sqlstate: str | None = None
    constraint: str | None = None
    column: str | None = None
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class RejectSQL:
    """How one writer sorts rows.

    `create` makes the temporary table `staged` for the batch's columns and the ordinal; `rows` selects from
    it the ordinal and each value as the target's column will have it; `insert` moves all rows on and ends in
    the table's name; `empty` leaves none. Each group of `violations`, the cheapest first, is asked over the
    rows that those before have left. `for_ranges` prepares inserts of ranges; a batch that goes in whole is
    better off without. `mark` is true and notes the ordinal of the row under way where no rollback forgets
    it, and `marked` is the query for the ordinal.
    """

    create: tuple[str, ...]
    staged: str
    rows: str
    insert: str
    empty: str
    violations: tuple[tuple[Violation, ...], ...] = ()
    for_ranges: tuple[str, ...] = ()
    mark: str | None = None
    marked: str | None = None

    def judge(self, group: Sequence[Violation]) -> str:
        """The ordinals of the rows that the group refuses, with the number of the first reason."""
        whens = " ".join(f"when {each.predicate} then {number}" for number, each in enumerate(group))
        # Materialized, or the checks would run a second time for the rows that they found.
        return (
            f"with judged as materialized (select {ORDINAL}, case {whens} end as reason "
            f"from ({self.rows}) as s) "
            f"select {ORDINAL}, reason from judged where reason is not null order by {ORDINAL}"
        )

    def remove(self, ordinals: Sequence[int]) -> str:
        return f"delete from {self.staged} where {ORDINAL} in ({', '.join(map(str, ordinals))})"

    def insert_range(self, start: int, end: int) -> str:
        condition = f"where {ORDINAL} >= {start} and {ORDINAL} < {end}"
        if self.mark is None:
            return f"{self.insert} {condition}"
        # Behind the OFFSET only rows of the range are marked, each right before it is inserted.
        ranged = f"(select * from {self.staged} {condition} order by {ORDINAL} offset 0) as ranged"
        return f"{self.insert.removesuffix(self.staged)}{ranged} where {self.mark}"


def repeated(rows: str, columns: Sequence[str], quote: Callable[[str], str]) -> str:
    """True for staged rows that have the key of an earlier one; NULLs equal nothing."""
    names = ", ".join(map(quote, columns))
    # Hashing finds the keys that occur twice, usually none; only their rows are sorted.
    return (
        f"s.{ORDINAL} in (select {ORDINAL} from (select {ORDINAL}, "
        f"row_number() over (partition by {names} order by {ORDINAL}) as place from ({rows}) as r "
        f"where ({names}) in (select {names} from ({rows}) as k group by {names} having count(*) > 1)) as d "
        f"where place > 1)"
    )
