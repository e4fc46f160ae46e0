"""Sets aside the tables that cannot be copied while the others are planned."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from arrowsync.core.contracts import Source
from arrowsync.core.plan import Skipped
from arrowsync.core.table import Table, TableName
from arrowsync.errors import (
    ArrowsyncError,
    ConfigError,
    ResumeError,
    SchemaError,
    TableUnusable,
    TransientError,
)


@dataclass
class OddTables:
    """The tables that cannot be copied, each with its error. `named` were asked for by name."""

    named: Collection[TableName] = ()
    errors: dict[TableName, ArrowsyncError] = field(default_factory=dict)

    @contextmanager
    def set_aside(self, name: TableName) -> Iterator[None]:
        """Keep an error that is about this table alone, and let the next table have its turn."""
        try:
            yield
        except ArrowsyncError as error:
            if not concerns_one_table(error):
                raise
            self.errors[name] = error.at(table=str(name))

    def describe(self, source: Source, names: Sequence[TableName]) -> list[Table]:
        """The tables that can be described: all in one go, else one by one to find those that cannot."""
        try:
            return source.describe(names)
        except ArrowsyncError as error:
            if not concerns_one_table(error):
                raise
        tables = []
        for name in names:
            with self.set_aside(name):
                tables += source.describe([name])
        return tables

    def skipped(self) -> tuple[Skipped, ...]:
        """The tables that nobody named. Raises one error for all where one was asked for by name."""
        if any(name in self.named for name in self.errors):
            self.refuse()
        return self._listed()

    def refuse(self) -> None:
        """Raise what was set aside, if anything was: one error that lists all of it."""
        errors = list(self.errors.values())
        if len(errors) == 1:
            raise errors[0] from errors[0].__cause__
        if errors:
            kind = ConfigError if all(isinstance(error, ConfigError) for error in errors) else SchemaError
            lines = [f"{each.table}: {each.sentence}" for each in self._listed()]
            without = " ".join(f"--tables {shlex.quote(f'!{name}')}" for name in self.errors)
            raise kind(
                "\n  ".join((f"{len(lines)} tables cannot be copied:", *lines)),
                hint=f"Name the others alone, or leave these out: {without}",
            )

    def _listed(self) -> tuple[Skipped, ...]:
        return tuple(Skipped(name, what(error), error.hint) for name, error in self.errors.items())


def concerns_one_table(error: ArrowsyncError) -> bool:
    """Whether other tables can be copied all the same.

    What was asked for wrongly, what another transfer has left, and a database that does not answer concern
    all tables.
    """
    return isinstance(error, TableUnusable) or not isinstance(
        error, ConfigError | ResumeError | TransientError
    )


def what(error: ArrowsyncError) -> str:
    """The message without the table, which stands beside it."""
    return error.message + (f" (column {error.column!r})" if error.column else "")
