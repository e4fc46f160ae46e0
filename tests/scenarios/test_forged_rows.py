"""Rows that were made to have the fingerprint of others: what is shown of it agrees, and they are found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, TransferError, VerificationError
from arrowsync.core.events import TableStarted
from arrowsync.engine import fingerprint
from arrowsync.engine.row_hashes import Canonical, row_hashes
from tests.fix_postgresql import Database
from tests.scenarios.copies import content, copy, interrupted, make_rows, newest_server

Numbers = npt.NDArray[np.uint64]

ROWS, BITS = 8, 17
TRUE = pa.table(
    {"id": range(1, ROWS + 1), "amount": [100 * n for n in range(1, ROWS + 1)], "note": ["rent"] * ROWS}
)


@cache
def forged() -> pa.Table:
    """Rows whose amounts are 0, with notes that give them the shown fingerprint of the true ones.

    Of 2^17 notes for each row, those are found whose hashes add up, by halving the rows: at each level only
    sums are kept whose lowest bits are 0 (Wagner's generalised birthday).
    """
    texts = [format(number, "x") for number in range(1 << BITS)]
    hashes = [_shown([row] * len(texts), [0] * len(texts), texts) for row in range(1, ROWS + 1)]
    hashes[-1] = hashes[-1] - _shown(*TRUE.to_pydict().values()).sum()
    level = [(each, [np.arange(len(texts))]) for each in hashes]  # sums, and which note each row has in them
    for bits in (BITS, 2 * BITS, 64):
        halves = zip(level[::2], level[1::2], strict=True)
        level = [_zeros(one, other, bits) for one, other in halves]
    notes = [texts[which[0]] for which in level[0][1]]
    return pa.table({"id": range(1, ROWS + 1), "amount": [0] * ROWS, "note": notes})


def _shown(ids: Sequence[int], amounts: Sequence[int], notes: Sequence[str]) -> Numbers:
    columns = pa.array(ids), pa.array(amounts), pa.array(notes).cast(pa.binary())
    [hashes] = row_hashes([Canonical(column) for column in columns], [fingerprint.SEED])
    return hashes.to_numpy()


Sums = tuple[Numbers, list[npt.NDArray[np.int64]]]


def _zeros(one: Sums, other: Sums, bits: int) -> Sums:
    """The sums of one of each whose lowest bits are 0."""
    mask = np.uint64((1 << bits) - 1)
    order = np.argsort(other[0] & mask)
    low, wanted = (other[0] & mask)[order], (np.uint64(0) - one[0]) & mask
    first, end = (np.searchsorted(low, wanted, side) for side in ("left", "right"))
    count = end - first
    a = np.repeat(np.arange(len(wanted)), count)
    b = order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)]
    return one[0][a] + other[0][b], [which[a] for which in one[1]] + [which[b] for which in other[1]]


def test_verify_finds_rows_that_were_forged_for_the_shown_fingerprint(tmp_path: Path) -> None:
    for name, table in (("true", TRUE), ("forged", forged())):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    [check] = arrowsync.verify(
        str(tmp_path / "true.parquet"), str(tmp_path / "forged.parquet"), key="id"
    ).tables
    assert str(check.source) == str(check.target)  # or the forgery is none
    assert not check.equal
    assert check.different == ROWS
    assert {each.columns for each in check.examples} == {("amount", "note")}


@newest_server
def test_a_copy_that_the_target_forges_fails_its_verification(postgresql: Database) -> None:
    cases = " ".join(f"when {row['id']} then '{row['note']}'" for row in forged().to_pylist())
    postgresql.execute("create table t (id bigint, amount bigint, note text)")
    postgresql.execute(
        "create function forge() returns trigger language plpgsql as "
        f"$$begin new.amount := 0; new.note := case new.id {cases} end; return new; end$$"
    )
    postgresql.execute("create trigger forge before insert on t for each row execute function forge()")
    with pytest.raises(TransferError, match="rows were forged to have it") as failed:
        arrowsync.copy(TRUE, postgresql.uri, table="t", mode="append", verify="hash", progress=False)
    assert isinstance(failed.value.__cause__, VerificationError)


# -- where the secret is -------------------------------------------------------------------------------------

LIMITS = Limits(partition_bytes="512 KiB", batch_rows=2_000)


@newest_server
def test_the_journal_keeps_the_secret_until_the_table_is_finished(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, 40_000)
    interrupted(source.uri, target.uri, rows=20_000, limits=LIMITS, workers=1)
    [(state,)] = target.execute("select state from arrowsync.transfers")
    secret = json.loads(state)["secret"]
    plan = arrowsync.plan(source.uri, target.uri, table="t")
    assert plan.tables[0].secret == int(secret, 16)  # so that the receipts of both runs add up
    assert not mentions(secret, repr(plan), repr(plan.tables), json.dumps(plan.to_dict()))
    report = copy(source.uri, target.uri, verify="hash")
    assert report.partitions_resumed > 0
    assert report.verified == "hash"
    assert not mentions(secret, repr(report), json.dumps(report.to_dict()))
    assert not mentions(secret, str(target.execute("select * from arrowsync.transfers")))


@newest_server
def test_a_folder_keeps_the_secret_beside_its_parts_until_it_is_finished(
    new_database: Callable[..., Database], tmp_path: Path
) -> None:
    source, folder = new_database(), tmp_path / "t"
    make_rows(source, 40_000)
    interrupted(source.uri, f"{folder}/", rows=20_000, limits=LIMITS, workers=1)
    secret = json.loads((folder / ".arrowsync.json").read_text())["state"]["secret"]
    report = copy(source.uri, f"{folder}/", verify="hash")
    assert report.partitions_resumed > 0
    assert report.verified == "hash"
    assert not any(secret.encode() in path.read_bytes() for path in folder.iterdir())
    assert len(list(folder.iterdir())) == report.partitions


@newest_server
def test_receipts_whose_secret_is_lost_are_not_compared(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    make_rows(source, 40_000)
    interrupted(source.uri, target.uri, rows=20_000, limits=LIMITS, workers=1)
    target.execute("update arrowsync.transfers set state = (state::jsonb - 'secret')::text")
    report = copy(source.uri, target.uri, verify="hash")
    assert report.partitions_resumed > 0
    assert report.verified == "hash"
    assert content(target) == content(source)


def mentions(secret: str, *texts: str) -> bool:
    return any(each in text for text in texts for each in (secret, str(int(secret, 16))))


@newest_server
def test_each_run_of_a_plan_draws_a_secret_of_its_own(postgresql: Database) -> None:
    postgresql.execute("create table t (id bigint, amount bigint, note text)")
    plan = arrowsync.plan(TRUE, postgresql.uri, table="t", mode="replace", progress=False)
    drawn: list[int] = []
    for _ in range(2):
        plan.run(
            observer=lambda event: (
                drawn.append(event.plan.secret) if isinstance(event, TableStarted) else None
            )
        )
    assert len({*drawn, plan.tables[0].secret}) == 3
