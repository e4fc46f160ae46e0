"""Decides what a transfer goes on with, and what it gives up, of what earlier runs have left unfinished."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from arrowsync.core.contracts import Sink
from arrowsync.core.plan import Reference, TablePlan
from arrowsync.core.receipts import Leftover, Phase, Unfinished
from arrowsync.core.table import Table, TableName
from arrowsync.core.transfer import Transfer, command_line
from arrowsync.errors import ResumeError

SHOWN_NAMES = 5  # of tables, in one sentence


@dataclass(frozen=True, slots=True)
class Decision:
    """What a table's plan does with what was found: goes on with one, gives up others."""

    resumes: Unfinished | None = None
    waiting: Unfinished | None = None  # it was noted with its transfer, and has not begun
    discards: tuple[Unfinished, ...] = ()

    @property
    def finished(self) -> Unfinished | None:
        """The run that it goes on with, where that has finished the table."""
        return self.resumes if self.resumes and self.resumes.phase is Phase.PUBLISHED else None

    def for_types(self, types: Sequence[str]) -> Decision:
        """The decision for columns of those types: a run that presumed others is given up."""
        if self.resumes is None or self.resumes.state.get("presumed") in (None, types):
            return self
        return replace(self, resumes=None, discards=(*self.discards, self.resumes))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was found unfinished: tables of this transfer by their source, those of others by their target."""

    transfer: Transfer
    found: tuple[Unfinished, ...] = ()
    mine: Mapping[TableName, Unfinished] = field(default_factory=dict)

    @classmethod
    def of(cls, transfer: Transfer, targets: Sequence[TableName], sink: Sink) -> Earlier:
        """What the target's journals hold of this transfer, in its tables' order, and of others."""
        if transfer.journal is None:
            return cls(transfer)
        found = tuple(sink.unfinished(transfer.id, targets, transfer.journal))
        mine = {
            each.source or TableName.parse(each.target): each
            for each in sorted(found, key=lambda each: int(each.state.get("number", 0)))
            if each.transfer == transfer.id
        }
        return cls(transfer, found, mine)

    @property
    def goes_on(self) -> bool:
        """Whether this transfer has begun and is gone on with: then its tables are those it began with."""
        return bool(self.mine) and not self.transfer.restart

    def target(self, source: TableName, name: TableName) -> TableName:
        """Where the table goes: `name`, unless it began to go elsewhere (search_path may have changed)."""
        return self.mine[source].place if self.goes_on and source in self.mine else name

    def others(self, target: TableName) -> tuple[Unfinished, ...]:
        return tuple(
            each
            for each in self.found
            if each.transfer != self.transfer.id
            and each.target == str(target)
            and each.phase is not Phase.GIVEN_UP
        )

    # -- which tables --------------------------------------------------------------------------------------

    def chosen(self, tables: Sequence[Table], odd: Collection[TableName]) -> list[Table]:
        """The tables that are copied or kept: patterns are resolved once, when a transfer begins.

        `odd` are there, and cannot be copied. Raises ResumeError for one that is not finished and is not
        there any more.
        """
        if not self.goes_on:
            return list(tables)
        there = {table.name for table in tables}.union(odd)
        for name, each in self.mine.items():
            if name not in there and each.phase in (Phase.WAITING, Phase.RUNNING):
                raise ResumeError(
                    f"table {name} of the unfinished transfer is no longer in the source",
                    hint="Begin anew with the tables that there are now: --restart (restart=True)",
                )
        return [table for table in tables if self._takes(table.name)]

    def _takes(self, name: TableName) -> bool:
        return name in self.mine and self.mine[name].phase is not Phase.GIVEN_UP

    def vanished(self, tables: Sequence[Table]) -> list[Unfinished]:
        """The finished tables that are no longer in the source; their copies stay."""
        there = {table.name for table in tables}
        return [
            each
            for name, each in self.mine.items()
            if self.goes_on and name not in there and each.phase is Phase.PUBLISHED
        ]

    def later(self, tables: Sequence[Table]) -> list[Table]:
        """The tables that were not there, or could not be copied, when this transfer began."""
        return [table for table in tables if self.goes_on and table.name not in self.mine]

    def warnings(self, later: Sequence[TableName], now: str) -> Iterator[str]:
        """What is to be said of the whole transfer; `now` is when the tables that are left are read."""
        if not self.goes_on:
            return
        finished = [name for name, each in self.mine.items() if each.phase is Phase.PUBLISHED]
        if finished and len(finished) == len(self.mine):
            yield (
                "an earlier run had copied all tables, and ended before it could say so: nothing was copied "
                f"again. The rows are of {self._moments(finished)}"
            )
        elif finished:
            yield (
                f"{_tables(finished)} of an earlier run {_is(finished)} kept with the rows of "
                f"{self._moments(finished)}; the others are of {now}. --restart copies all anew"
            )
        if later:
            yield (
                f"{_tables(later)} came, or could be copied, only after this transfer began and {_is(later)} "
                "not copied: a command of its own copies what came later"
            )
        lost = [name for name, each in self.mine.items() if each.phase is Phase.GIVEN_UP]
        if lost:
            yield f"{_tables(lost)} {_is(lost)} not copied: another transfer has taken the target over"

    def _moments(self, names: Sequence[TableName]) -> str:
        moments = sorted({str(self.mine[name].state.get("moment", "an earlier moment")) for name in names})
        return moments[0] if len(moments) == 1 else f"{moments[0]} to {moments[-1]}"

    # -- one table -----------------------------------------------------------------------------------------

    def decide(self, source: TableName, target: TableName, sink: Sink) -> Decision:
        """Raises ResumeError for what another transfer has left, and where no way on is safe."""
        mine, others = self.mine.get(source), self.others(target)
        if self.transfer.restart:
            for each in (*others, *([mine] if mine else ())):
                _check_given_up(each, sink)
        else:
            for other in others:
                if other.committed and not _is_lost(other):
                    raise _different(self.transfer, target, other)
        if mine is None or self.transfer.restart:
            return Decision(discards=(*others, *([mine] if mine and mine.has_write_table else ())))
        if mine.phase is Phase.WAITING:
            return Decision(waiting=mine, discards=others)
        if mine.came_to_nothing:
            return Decision(discards=(*others, mine))
        if mine.write_table_state == "kept":
            return Decision(mine, discards=others)
        if mine.write.adds and (mine.write_table_state == "changed" or mine.phase is Phase.PUBLISHED):
            raise _rows_missing(target, mine)
        return Decision(discards=(*others, mine))


def finished_plan(
    transfer: Transfer, finished: Unfinished, source: Table | None, target: TableName
) -> TablePlan:
    """The plan of a table that an earlier run has finished: its keys may still wait for other tables."""
    name = finished.source or target
    table = source or Table(name, "", ())
    return TablePlan(
        transfer,
        replace(table, view=None),
        Table(target, table.dialect, ()),
        (),
        finished.partitions,
        write=replace(finished.write, exists=True, aside=finished.write_table_name != target),
        number=finished.state.get("number", 0),
        references=tuple(map(Reference.of, finished.state.get("references", ()))),
        resumes=finished,
        journal=finished.journal,
        run=finished.run,
        warnings=() if source else ("it is no longer in the source; its copy stays",),
    )


def empties(discarded: Unfinished) -> bool:
    """Whether giving it up empties a table that is not of its making."""
    return discarded.leftover is Leftover.ALL_ROWS and discarded.write_table_state != "other"


def given_up(discarded: Unfinished, sink: Sink) -> str:
    """What the report says about an unfinished run that is not resumed."""
    if discarded.write_table_state == "kept":
        stay = discarded.write.adds and not sink.capabilities.identifies_rows
        kept = "stay in the table" if stay else "are copied again"
        return f"started over: the {discarded.rows:,} rows of an unfinished run {kept}"
    return "started over: the target table is not what an unfinished run left"


def _check_given_up(old: Unfinished, sink: Sink) -> None:
    """Raises ResumeError where rows of an unfinished append would stay, and come once more."""
    stays = (
        old.write.adds
        and old.rows
        and old.write_table_state != "other"
        and not sink.capabilities.identifies_rows
    )
    if not stays or _is_frame(old):
        return
    if sink.rows_lost(old) >= old.rows:
        return
    raise ResumeError(
        f"{old.rows:,} rows of an unfinished append are in {old.target}, and nobody can tell them from "
        "others: to start over would add them again",
        hint=f"Finish it: {command_line(old.request)}. Or remove its rows first",
    )


def _rows_missing(target: TableName, mine: Unfinished) -> ResumeError:
    if mine.phase is Phase.PUBLISHED:
        what = "dropped, made anew" if mine.write_table_state == "other" else "emptied"
        return ResumeError(
            f"{target} was {what} since this transfer appended {mine.rows:,} rows to it",
            hint="To append all tables anew, start over with restart (--restart)",
        )
    return ResumeError(
        f"rows of an unfinished run may be missing from {target}: it was rewritten or lost rows since",
        hint="Remove what that run has added, then start over with restart (--restart)",
    )


def _is_lost(unfinished: Unfinished) -> bool:
    """Whether nobody can go on with it, and giving it up takes nothing away: no frame comes twice."""
    return _is_frame(unfinished) and unfinished.leftover is Leftover.TABLE


def _is_frame(unfinished: Unfinished) -> bool:
    return str(unfinished.request["source"]).startswith("frame:")


def _different(transfer: Transfer, name: TableName, other: Unfinished) -> ResumeError:
    asked: Mapping[str, Any] = transfer.identity()
    finish = "" if _is_frame(other) else f"Finish it: {command_line(other.request)}. "
    differing = [key for key in asked if other.request.get(key) != asked[key]]
    return ResumeError(
        f"an unfinished transfer into {name} differs in "
        + ", ".join(f"{key} ({other.request.get(key)!r}, now {asked[key]!r})" for key in differing),
        hint=f"{finish}Give it up with restart (--restart)",
    )


def _tables(names: Sequence[TableName]) -> str:
    """3 tables (a, b, c)."""
    shown = ", ".join(map(str, names[:SHOWN_NAMES])) + (", …" if len(names) > SHOWN_NAMES else "")
    return f"{len(names)} {'table' if len(names) == 1 else 'tables'} ({shown})"


def _is(names: Sequence[TableName]) -> str:
    return "is" if len(names) == 1 else "are"
