"""The journal in the target database: which transfers run, their partitions' bounds, and the receipts.

A receipt is inserted, as a claim, at the beginning of its partition's transaction and completed before the
commit; a second writer of the same partition waits at the primary key and then finds the work done. A claim
counts only for the run that the journal knows: a run that was started over or finished by another cannot add.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from arrowsync.core.plan import Fingerprint, Partition, Receipt, TablePlan, Unfinished
from arrowsync.core.status import RUNNING, TransferStatus
from arrowsync.core.table import TableName
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ResumeError

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


class Journal:
    """The journal as one connection sees it; every method is part of the connection's open transaction."""

    def __init__(self, connection: AdbcConnection, tables: tuple[TableName, TableName]) -> None:
        self._connection = connection
        self._transfers, self._receipts = (connection.dialect.quote_table(table) for table in tables)

    def create(self) -> None:
        self._connection.run(_TRANSFERS.format(self._transfers))
        self._connection.run(_RECEIPTS.format(self._receipts))

    def unfinished(self, target: TableName) -> list[Unfinished]:
        """Transfers into that table that have not finished."""
        rows = self._connection.rows(
            f"select transfer, run, request, partitions, state from {self._transfers} "
            "where target_table = $1 and status = $2",
            (str(target), RUNNING),
        )
        return [
            Unfinished(
                transfer,
                json.loads(request),
                tuple(Partition(**partition) for partition in json.loads(partitions)),
                self.receipts(transfer, target),
                json.loads(state),
                run,
            )
            for transfer, run, request, partitions, state in rows
        ]

    def begin(self, plan: TablePlan, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Note the transfer and its bounds; an earlier run of it, finished or given up, is forgotten."""
        self.forget(plan.transfer.id, plan.target.name)
        request = json.dumps(plan.transfer.identity())
        partitions = json.dumps([asdict(partition) for partition in plan.partitions])
        self._connection.run(
            f"insert into {self._transfers} (transfer, target_table, run, source, status, request, "
            "partitions, state, started_at) "
            "values ($1, $2, $3, $4, $5, $6, $7, $8, cast(current_timestamp as text))",
            (*_key(plan), plan.transfer.source, RUNNING, request, partitions, json.dumps(dict(state))),
        )

    def forget(self, transfer: str, target: TableName) -> None:
        for table in (
            self._transfers,
            self._receipts,
        ):  # partitions hold the first one's row while they write
            self._connection.run(
                f"delete from {table} where transfer = $1 and target_table = $2", (transfer, str(target))
            )

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
            f"{self._connection.dialect.keep_row} on conflict do nothing returning 1",
            (partition.number, *_key(plan)),  # SQLite numbers parameters by where they stand
        )
        if claimed:
            if (self.state(plan) or {}).get("turn", "") != plan.turn:
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
        return read_receipt(found[0][0])

    def complete(self, plan: TablePlan, receipt: Receipt) -> None:
        transfer, target, _ = _key(plan)
        self._connection.run(
            f"update {self._receipts} set receipt = $1 where transfer = $2 and target_table = $3 "
            "and partition_number = $4",
            (receipt_text(receipt), transfer, target, receipt.partition),
        )

    def receipts(self, transfer: str, target: TableName) -> tuple[Receipt, ...]:
        rows = self._connection.rows(
            f"select receipt from {self._receipts} where transfer = $1 and target_table = $2 "
            "order by partition_number",
            (transfer, str(target)),
        )
        return tuple(read_receipt(text) for (text,) in rows)

    def finish(self, plan: TablePlan, status: str) -> None:
        """Keep one row of the finished transfer with its totals; receipts and their seed have served."""
        transfer, target, run = _key(plan)
        state = {name: value for name, value in (self.state(plan) or {}).items() if name != "secret"}
        receipts = self.receipts(transfer, plan.target.name)
        totals = {
            "partitions": len(plan.partitions),
            "rows": sum(receipt.rows for receipt in receipts),
            "quarantined": sum(receipt.quarantined for receipt in receipts),
        }
        self._connection.run(
            f"delete from {self._receipts} where transfer = $1 and target_table = $2", (transfer, target)
        )
        self._connection.run(
            f"update {self._transfers} set status = $1, partitions = '[]', state = $2, "
            "finished_at = cast(current_timestamp as text) "
            "where transfer = $3 and target_table = $4 and run = $5",
            (status, json.dumps({**state, "totals": totals}), transfer, target, run),
        )

    def drop_if_idle(self) -> None:
        """Leave no journal in a file whose transfers have all finished."""
        if not self._connection.rows(f"select 1 from {self._transfers} where status = $1", (RUNNING,)):
            self._connection.run(f"drop table {self._receipts}")
            self._connection.run(f"drop table {self._transfers}")

    def entries(self) -> list[TransferStatus]:
        """Every transfer it knows, those that have not finished first, then the latest first.

        What has not finished is running here: who holds the lock is not in the journal.
        """
        age = self._connection.dialect.seconds_since.format("started_at")
        rows = self._connection.rows(
            "select transfer, target_table, source, status, request, partitions, state, started_at, "
            f"finished_at, cast({age} as double precision) from {self._transfers} "
            "order by finished_at is not null, started_at desc"
        )
        return [self._entry(*row) for row in rows]

    def _entry(
        self,
        transfer: str,
        table: str,
        source: str,
        status: str,
        request: str,
        partitions: str,
        state: str,
        started_at: str,
        finished_at: str | None,
        age_seconds: float,
    ) -> TransferStatus:
        totals = json.loads(state).get("totals")
        if totals is None:
            receipts = self.receipts(transfer, TableName.parse(table))
            done, count = len(receipts), len(json.loads(partitions))
            rows, quarantined = sum(r.rows for r in receipts), sum(r.quarantined for r in receipts)
        else:
            done = count = totals["partitions"]
            rows, quarantined = totals["rows"], totals["quarantined"]
        mode = json.loads(request)["mode"]
        return TransferStatus(
            *(transfer, source, table, mode, status, count, done, rows, quarantined),
            *(started_at, finished_at, age_seconds),
        )


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
