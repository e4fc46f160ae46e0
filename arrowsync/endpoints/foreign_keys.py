"""Adds the foreign keys of a copied table once the tables that they name are there."""

from __future__ import annotations

from arrowsync.core.plan import Published, Reference, TablePlan
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ArrowsyncError, ConfigError, DataError, SchemaError, TransientError

_SAVEPOINT = "arrowsync_reference"


def add_foreign_keys(connection: AdbcConnection, plan: TablePlan, *, last: bool = False) -> Published:
    """Add what is not there yet, in the open transaction.

    A key that rows break is added for new rows only. One whose table is missing waits; with `last` it is
    given up.
    """
    dialect = connection.dialect
    there = dialect.foreign_keys(connection, plan.target.name) if plan.references else set()
    warnings, unenforced = [], []
    for reference in plan.references:
        if reference.name in there:
            continue
        if dialect.describe(connection, [reference.references]):
            unenforced += _add(connection, reference)
            if reference.comment and reference.name in dialect.foreign_keys(connection, plan.target.name):
                connection.run(reference.comment)
        elif last:
            missing = reference.references
            warnings.append(f"foreign key {reference.name!r} is left out: there is no table {missing}")
    return Published(tuple(warnings), tuple(unenforced))


def _add(connection: AdbcConnection, reference: Reference) -> list[str]:
    """A sentence when the key is not enforced."""
    connection.run(f"savepoint {_SAVEPOINT}")
    try:
        connection.run(reference.add)
        return []
    except DataError:
        connection.run(f"rollback to savepoint {_SAVEPOINT}")
    except (SchemaError, ConfigError) as error:
        connection.run(f"rollback to savepoint {_SAVEPOINT}")
        return [f"foreign key {reference.name!r} is left out: {error.message}"]
    orphans = connection.rows(f"select count(*) from ({reference.orphans}) as orphans")[0][0]
    broken = f"foreign key {reference.name!r} is broken by {orphans} row{'s' * (orphans != 1)}"
    try:
        connection.run(reference.add_unchecked)
    except TransientError:
        raise
    except ArrowsyncError as error:
        connection.run(f"rollback to savepoint {_SAVEPOINT}")
        return [f"{broken} and left out: {error.message}"]
    return [f"{broken} and holds for new rows only (not valid); find them with: {reference.orphans}"]
