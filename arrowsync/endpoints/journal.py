"""The journal in the target database: which transfers run, their tables' bounds, and the receipts.

A transfer notes all its tables when it begins, and is over when they are all marked so, in one transaction:
until then every table that it has finished is "published", with its receipts. A receipt is inserted, as a
claim, at the beginning of its partition's transaction and completed before the commit; a second writer of the
same partition waits at the primary key and then finds the work done. A claim counts only for the run that the
journal knows: a run that was started over or finished by another cannot add.
"""

from __future__ import annotations

import json
import socket
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Fingerprint, Partition, Phase, Receipt, Unfinished
from arrowsync.core.status import RUNNING, TableStatus, TransferStatus
from arrowsync.core.table import TableName
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ResumeError, SchemaError

_TRANSFERS = """
create table if not exists {} (
    transfer text not null, target_table text not null, run text not null, source text not null,
    status text not null, request text not null, partitions text not null, state text not null,
    started_at text not null, finished_at text, primary key (transfer, target_table))
"""
_RECEIPTS = """
create table if not exists {} (
    transfer text not null, target_table text not null, partition_number bigint not null,
    receipt text not null, primary key (transfer, target_table, partition_number))
"""
_OURS = "transfer = $1 and target_table = $2 and run = $3 and status = 'running'"
_NOT_OVER = f"status in ({', '.join(repr(str(phase)) for phase in Phase)})"


class Journal:
    """The journal as one connection sees it; every method is part of the connection's open transaction."""

    def __init__(self, connection: AdbcConnection, tables: tuple[TableName, TableName]) -> None:
        self._connection = connection
        self._tables = tables
        self._transfers, self._receipts = (connection.dialect.quote_table(table) for table in tables)

    def create(self) -> None:
        self._connection.run(_TRANSFERS.format(self._transfers))
        self._connection.run(_RECEIPTS.format(self._receipts))

    def unfinished(self, transfer: str, targets: Collection[str] = ()) -> list[Unfinished]:
        """What is not over: all of this transfer, and of others what goes into these tables."""
        rows = self._connection.rows(
            "select transfer, target_table, run, status, request, partitions, state "
            f"from {self._transfers} where {_NOT_OVER}"
        )
        meant = [row for row in rows if row[0] == transfer or row[1] in targets]
        receipts = {each: self._receipts_of(each) for each in {row[0] for row in meant}}
        found = []
        for row in meant:
            with self._reading(row[0]):
                found.append(_whole(self._unfinished(receipts[row[0]], *row)))
        return found

    def _unfinished(
        self,
        receipts: Mapping[str, tuple[Receipt, ...]],
        transfer: str,
        target: str,
        run: str,
        status: str,
        request: str,
        partitions: str,
        state: str,
    ) -> Unfinished:
        return Unfinished(
            transfer=transfer,
            target=target,
            request=json.loads(request),
            partitions=tuple(Partition(**partition) for partition in json.loads(partitions)),
            receipts=receipts.get(target, ()),
            state=json.loads(state),
            phase=Phase(status),
            run=run,
            journal=self._tables,
            committed=any(receipt.rows for each in receipts.values() for receipt in each),
        )

    def note(self, plan: TablePlan) -> None:
        """Note that the table belongs to the transfer."""
        self.forget(plan.transfer.id, str(plan.target.name))
        self._insert(_noted(plan, Phase.WAITING, (), {}))

    def begin(self, plan: TablePlan, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Note the table's bounds; an earlier beginning of it, finished or given up, is forgotten."""
        self.forget(plan.transfer.id, str(plan.target.name))
        self._insert(_noted(plan, Phase.RUNNING, plan.partitions, state))

    def _insert(self, entry: Unfinished) -> None:
        self._connection.run(
            f"insert into {self._transfers} (transfer, target_table, run, source, status, request, "
            "partitions, state, started_at) "
            "values ($1, $2, $3, $4, $5, $6, $7, $8, cast(current_timestamp as text))",
            (
                *(entry.transfer, entry.target, entry.run, str(entry.request["source"]), str(entry.phase)),
                json.dumps(dict(entry.request)),
                json.dumps([asdict(partition) for partition in entry.partitions]),
                json.dumps(dict(entry.state)),
            ),
        )

    def forget(self, transfer: str, target: str) -> None:
        # Partitions that write hold the transfer's row: it goes first, and waits for them.
        for table in (self._transfers, self._receipts):
            self._connection.run(
                f"delete from {table} where transfer = $1 and target_table = $2", (transfer, target)
            )

    def forget_all(self, transfer: str) -> None:
        """Forget a transfer that is over and begins anew, maybe with fewer tables."""
        self._connection.run(f"delete from {self._transfers} where transfer = $1", (transfer,))

    def give_up(self, old: Unfinished, *, to: str) -> None:
        """Note that the table's target belongs to the transfer `to` now.

        Of another transfer a mark stays, so that the table is not taken for one that came later; where
        nothing else of it is left to do, it is over.
        """
        self.forget(old.transfer, old.target)
        if old.transfer == to:
            return
        left = [each for each in self.unfinished(old.transfer) if each.transfer == old.transfer]
        if any(each.phase in (Phase.WAITING, Phase.RUNNING) for each in left):
            self._insert(replace(old, phase=Phase.GIVEN_UP, partitions=()))
        else:
            self.finish(old.transfer)

    def state(self, plan: TablePlan) -> dict[str, Any] | None:  # Any: JSON
        """What the run remembers; None when it runs no longer."""
        found = self._connection.rows(f"select state from {self._transfers} where {_OURS}", _key(plan))
        return dict(json.loads(found[0][0])) if found else None

    def remember(self, plan: TablePlan, state: Mapping[str, Any]) -> None:  # Any: JSON
        transfer, target, run = _key(plan)
        self._connection.run(
            f"update {self._transfers} set state = $1 where transfer = $2 and target_table = $3 and run = $4",
            (json.dumps(dict(state)), transfer, target, run),
        )

    def claim(self, plan: TablePlan, partition: Partition) -> Receipt | None:
        """Claim the partition for this transaction; its receipt when another run has committed it.

        Raises ResumeError when the transfer is no longer this run's, or the run has gone on without us.
        """
        claimed = self._connection.rows(
            f"insert into {self._receipts} (transfer, target_table, partition_number, receipt) "
            f"select transfer, target_table, cast($1 as bigint), '' from {self._transfers} "
            "where transfer = $2 and target_table = $3 and run = $4 and status = 'running'"
            f"{self._connection.dialect.capabilities.keep_row} on conflict do nothing returning 1",
            (partition.number, *_key(plan)),  # SQLite numbers parameters by where they stand
        )
        if claimed:
            if (self.state(plan) or {}).get("turn", "") != plan.fencing_token:
                raise ResumeError("this partition comes too late: its run has ended, or was gone on with")
            return None
        found = self._connection.rows(
            f"select r.receipt from {self._receipts} r join {self._transfers} t "
            "using (transfer, target_table) "
            "where transfer = $1 and target_table = $2 and run = $3 and partition_number = $4",
            (*_key(plan), partition.number),
        )
        if not found:
            raise ResumeError(
                "another run has finished this transfer, or started it over",
                hint="`arrowsync status` shows what is under way",
            )
        with self._reading(plan.transfer.id):
            return read_receipt(found[0][0])

    def complete(self, plan: TablePlan, receipt: Receipt) -> None:
        transfer, target, _ = _key(plan)
        self._connection.run(
            f"update {self._receipts} set receipt = $1 where transfer = $2 and target_table = $3 "
            "and partition_number = $4",
            (receipt_text(receipt), transfer, target, receipt.partition),
        )

    def _receipts_of(self, transfer: str) -> dict[str, tuple[Receipt, ...]]:
        """All receipts of the transfer, by target table, in the partitions' order."""
        try:
            rows = self._connection.rows(
                f"select target_table, receipt from {self._receipts} where transfer = $1 "
                "order by target_table, partition_number",
                (transfer,),
            )
        except SchemaError as error:
            raise self._without_receipts() from error
        found: dict[str, tuple[Receipt, ...]] = defaultdict(tuple)
        with self._reading(transfer):
            for target, text in rows:
                found[target] += (read_receipt(text),)
        return found

    def publish(
        self, plan: TablePlan, receipts: Collection[Receipt], state: Mapping[str, Any]
    ) -> None:  # Any: JSON
        """Note that the table is finished; its receipts stay until the transfer is over."""
        totals = {
            "partitions": len(plan.partitions),
            "rows": sum(receipt.rows for receipt in receipts),
            "quarantined": sum(receipt.quarantined for receipt in receipts),
        }
        remembered = {name: value for name, value in state.items() if name != "secret"}  # it has served
        transfer, target, run = _key(plan)
        self._connection.run(
            f"update {self._transfers} set status = $1, state = $2, "
            "finished_at = cast(current_timestamp as text) "
            "where transfer = $3 and target_table = $4 and run = $5",
            (str(Phase.PUBLISHED), json.dumps({**remembered, "totals": totals}), transfer, target, run),
        )

    def finish(self, transfer: str, partial: Collection[str] = ()) -> None:
        """Mark the transfer as over: a row for each table stays, with its totals; its receipts have served.

        `partial` are tables that are so because of what came after they were published.
        """
        published = self._connection.rows(
            f"select target_table, state from {self._transfers} where transfer = $1 and status = $2",
            (transfer, str(Phase.PUBLISHED)),
        )
        for target, state in published:
            self._connection.run(
                f"update {self._transfers} set status = $1, partitions = '[]' "
                "where transfer = $2 and target_table = $3",
                ("partial" if target in partial else json.loads(state)["outcome"], transfer, target),
            )
        # What was given up, or noted and not begun.
        self._connection.run(
            f"delete from {self._transfers} where transfer = $1 and {_NOT_OVER}", (transfer,)
        )
        self._connection.run(f"delete from {self._receipts} where transfer = $1", (transfer,))

    @contextmanager
    def _reading(self, transfer: str) -> Iterator[None]:
        """Say of what is no text of ours which transfer it belongs to, and how to be rid of it."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            own = f"where transfer = '{transfer}'"
            raise ResumeError(
                f"the journal of transfer {transfer} is damaged: {type(error).__name__}: {error}",
                hint="Its rows are in the target, and nothing tells which are missing. Give it up with\n"
                f"delete from {self._receipts} {own};\ndelete from {self._transfers} {own};\n"
                "and copy its tables anew, with mode replace",
            ) from error

    def _without_receipts(self) -> ResumeError:
        return ResumeError(
            f"the journal lacks its table {self._tables[1]}: nothing tells which rows of unfinished "
            "transfers are in the target",
            hint=f"Give them up with\ndrop table {self._transfers};\n"
            "and copy their tables anew, with mode replace",
        )

    def drop_if_idle(self) -> None:
        """Leave no journal in a file whose transfers are all over."""
        if not self._connection.rows(f"select 1 from {self._transfers} where {_NOT_OVER}"):
            self._connection.run(f"drop table {self._receipts}")
            self._connection.run(f"drop table {self._transfers}")

    def entries(self) -> list[TransferStatus]:
        """Every transfer it knows, those that are not over first, then the latest first.

        What is not over is running here: who holds the lock is not in the journal.
        """
        age = self._connection.dialect.capabilities.seconds_since.format("started_at")
        rows = self._connection.rows(
            "select transfer, source, request, started_at, finished_at, "
            f"cast({age} as double precision), target_table, status, partitions, state "
            f"from {self._transfers} order by started_at, target_table"
        )
        tables: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            tables[row[0]].append(row)
        entries = []
        for transfer, rows in reversed(tables.items()):
            with self._reading(transfer):
                entries.append(self._entry(rows))
        return sorted(entries, key=lambda entry: (entry.status != RUNNING, entry.age_seconds))

    def _entry(self, rows: list[tuple[Any, ...]]) -> TransferStatus:
        transfer, source, request, started_at, _, age_seconds, *_ = rows[0]
        receipts = self._receipts_of(transfer)
        tables = tuple(_table_status(receipts, *row[6:]) for row in rows)
        phases = {row[7] for row in rows}
        is_over = phases <= {"complete", "partial"}
        status = ("partial" if "partial" in phases else "complete") if is_over else RUNNING
        finished_at = max(row[4] for row in rows) if is_over else None
        return TransferStatus(
            transfer,
            source,
            json.loads(request)["mode"],
            status,
            started_at,
            finished_at,
            age_seconds,
            tables,
        )


def _table_status(
    receipts: Mapping[str, tuple[Receipt, ...]], target: str, status: str, partitions: str, state: str
) -> TableStatus:
    noted = json.loads(state)
    if totals := noted.get("totals"):
        count = totals["partitions"]
        outcome = noted["outcome"] if status == Phase.PUBLISHED else status
        return TableStatus(target, outcome, count, count, totals["rows"], totals["quarantined"])
    done = receipts.get(target, ())
    rows, quarantined = sum(r.rows for r in done), sum(r.quarantined for r in done)
    return TableStatus(target, status, len(json.loads(partitions)), len(done), rows, quarantined)


def _noted(
    plan: TablePlan, phase: Phase, partitions: Collection[Partition], state: Mapping[str, Any]
) -> Unfinished:  # Any: JSON
    """The plan's table as the journal knows it, with which of the transfer's tables it is."""
    return Unfinished(
        transfer=plan.transfer.id,
        target=str(plan.target.name),
        request=plan.transfer.identity(),
        partitions=tuple(partitions),
        receipts=(),
        state={**plan.noted, **state},
        phase=phase,
        run=plan.run,
    )


def _whole(entry: Unfinished) -> Unfinished:
    """The entry. Raises KeyError for one that lacks what every run goes by."""
    for name in ("source", "target", "mode"):
        entry.request[name]
    for name in ("exists", "landing") if entry.phase is Phase.RUNNING else ():
        entry.state[name]
    return entry


def _key(plan: TablePlan) -> tuple[str, str, str]:
    return plan.transfer.id, str(plan.target.name), plan.run


def receipt_text(receipt: Receipt) -> str:
    """The receipt as text, with this host's name."""
    return json.dumps(
        {**asdict(receipt), "fingerprint": receipt.fingerprint.to_text(), "host": socket.gethostname()}
    )


def read_receipt(text: str) -> Receipt:
    """The inverse of receipt_text."""
    values = json.loads(text)
    fingerprint, fell_back = Fingerprint.parse(values["fingerprint"]), tuple(values["fell_back"])
    return Receipt(**{**values, "fingerprint": fingerprint, "fell_back": fell_back})
