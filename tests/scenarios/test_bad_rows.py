"""Rows that the target refuses: the good ones go in, the bad ones lie in files with their reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, Report, TransferError
from arrowsync.core.receipts import Receipt
from arrowsync.endpoints.writer import DatabaseWriter
from arrowsync.errors import DataError, VerificationError
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

ROWS = 3_000
GOOD = (
    "create table t (id bigint, n numeric(10,2), w bigint, note text, parent bigint); "
    f"insert into t select i, i, i, 'x' || i, 1 from generate_series(1, {ROWS}) i"
)
# What the source's columns come as, in this order, before what arrowsync adds.
KEPT = ["id", "n", "w", "note", "parent"]
ADDED = ["_arrowsync_error", "_arrowsync_sqlstate", "_arrowsync_constraint", "_arrowsync_partition"]


@dataclass(frozen=True)
class Copying:
    """Two databases of one server, and how the tests here copy table t between them."""

    source: Database
    target: Database
    quarantine: Path

    def copy(self, **arguments: Any) -> Report:
        given = {"table": "t", "mode": "append", "quarantine": str(self.quarantine), "progress": False}
        return arrowsync.copy(self.source.uri, self.target.uri, **{**given, **arguments})

    def refused(self) -> pa.Table:
        """All rows in the files of the one table."""
        (folder,) = self.quarantine.glob("*/*")
        return pa.concat_tables([pq.read_table(path) for path in sorted(folder.iterdir())])

    def ids(self) -> list[int]:
        return [id for (id,) in self.target.execute("select id from t order by id")]


@pytest.fixture
def copying(new_database: Callable[..., Database], tmp_path: Path) -> Copying:
    source = new_database()
    source.execute(GOOD)
    return Copying(source, new_database(), tmp_path / "quarantine")


TABLE = "create table t (id bigint, n numeric(10,2), w bigint, note text, parent bigint)"
KINDS = {
    "unique within the batch": (
        "create table t (id bigint primary key, n numeric, w bigint, note text, parent bigint)",
        "insert into t values (1, 1, 1, 'again', 1)",
        ("23505", "t_pkey"),
    ),
    "unique in the target": (
        f"{TABLE}; create unique index ui on t (note); insert into t (id, note) values (0, 'bad')",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("23505", "ui"),
    ),
    "unique, deferred": (
        f"{TABLE}; alter table t add constraint u unique (w) deferrable initially deferred",
        "insert into t values (-1, 1, 7, 'bad', 1)",
        ("23505", "u"),
    ),
    "unique by an expression": (
        f"{TABLE}; create unique index ue on t (upper(note))",
        "insert into t values (-1, 1, 1, 'X5', 1)",
        ("23505", "ue"),
    ),
    "not null": (
        "create table t (id bigint, n numeric, w bigint, note text not null, parent bigint)",
        "insert into t values (-1, 1, 1, null, 1)",
        ("23502", None),
    ),
    "check": (
        f"{TABLE}; alter table t add constraint positive check (id > 0 or n = 5)",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("23514", "positive"),
    ),
    "domain": (
        "create domain positive as bigint check (value > 0); "
        "create table t (id positive, n numeric, w bigint, note text, parent bigint)",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("23514", "positive_check"),
    ),
    "foreign key": (
        "create table p (id bigint primary key); insert into p values (1); "
        f"{TABLE}; alter table t add constraint fk foreign key (parent) references p",
        "insert into t values (-1, 1, 1, 'bad', 2)",
        ("23503", "fk"),
    ),
    "foreign key, deferred": (
        "create table p (id bigint primary key); insert into p values (1); "
        f"{TABLE}; alter table t add constraint fk foreign key (parent) references p initially deferred",
        "insert into t values (-1, 1, 1, 'bad', 2)",
        ("23503", "fk"),
    ),
    "a trigger's RAISE": (
        f"""{TABLE}; create function refuse() returns trigger language plpgsql as $$ begin
        if new.note = 'bad' then raise exception 'no % here', new.note; end if; return new; end $$;
        create trigger refuse before insert on t for each row execute function refuse()""",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("P0001", None),
    ),
    "too long": (
        "create table t (id bigint, n numeric, w bigint, note varchar(6), parent bigint)",
        "insert into t values (-1, 1, 1, 'much too long', 1)",
        ("22001", None),
    ),
    "too long by blanks alone": (
        "create table t (id bigint, n numeric, w bigint, note varchar(6), parent bigint)",
        "insert into t values (-1, 1, 1, 'blank    ', 1)",
        ("22001", None),
    ),
    "too long by blanks alone, in a domain": (
        "create domain short as varchar(6); "
        "create table t (id bigint, n numeric, w bigint, note short, parent bigint)",
        "insert into t values (-1, 1, 1, 'blank    ', 1)",
        ("22001", None),
    ),
    "out of numeric's range": (
        "create table t (id bigint, n numeric(6,2), w bigint, note text, parent bigint)",
        "insert into t values (-1, 10000, 1, 'bad', 1)",
        ("22003", None),
    ),
    "out of integer's range": (
        "create table t (id bigint, n numeric, w integer, note text, parent bigint)",
        "insert into t values (-1, 1, 3000000000, 'bad', 1)",
        (None, None),
    ),
    "no label of an enum": (
        f"create type label as enum ({', '.join(f'{chr(39)}x{i}{chr(39)}' for i in range(1, ROWS + 1))}); "
        "create table t (id bigint, n numeric, w bigint, note label, parent bigint)",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("22P02", None),
    ),
    "no partition": (
        "create table t (id bigint, n numeric, w bigint, note text, parent bigint) partition by range (id); "
        "create table t_1 partition of t for values from (1) to (1000000)",
        "insert into t values (-1, 1, 1, 'bad', 1)",
        ("23514", None),
    ),
    "exclusion": (
        f"{TABLE}; alter table t add constraint x exclude using hash (note with =)",
        "insert into t values (-1, 1, 1, 'x5', 1)",
        ("23P01", "x"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_row_of_any_kind_is_put_aside_with_its_reason_and_all_others_arrive(
    copying: Copying, kind: str
) -> None:
    table, bad_row, reason = KINDS[kind]
    copying.target.execute(table)
    copying.source.execute(bad_row)
    report = copying.copy(limits=Limits(batch_rows=1_000))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", ROWS, 1)
    assert report.rows_read == ROWS + 1
    assert [id for id in copying.ids() if id > 0] == list(range(1, ROWS + 1))
    (row,) = copying.refused().to_pylist()
    assert list(row) == [*KEPT, *ADDED]
    assert (row["_arrowsync_sqlstate"], row["_arrowsync_constraint"]) == reason
    assert row["_arrowsync_error"]
    assert row["_arrowsync_partition"] == 0
    assert row["note"] == copying.source.execute("select note from t offset 3000")[0][0]
    assert report.quarantine == (str(next(copying.quarantine.glob("*/*"))),)
    assert report.fingerprint is not None
    assert report.fingerprint.rows == ROWS


def test_blanks_that_char_would_forget_are_bad_rows_and_the_plan_says_so(copying: Copying) -> None:
    copying.source.execute(
        "drop table t; create table t (a text, b char(5)); insert into t values ('x  ', 'x'), ('y', 'y')"
    )
    copying.target.execute("create table t (a char(2), b char(2))")
    given = {"table": "t", "mode": "append"}
    (plan,) = arrowsync.plan(copying.source.uri, copying.target.uri, **given).tables
    reasons = [column.route.reason for column in plan.columns]
    assert reasons == ["character(2) pads texts with blanks, which do not count", ""]
    assert copying.copy().rows_quarantined == 1
    assert copying.target.execute("select a, b from t") == [("y ", "y ")]


@newest_server
def test_rows_repaired_in_their_file_are_copied_again(copying: Copying) -> None:
    copying.target.execute(f"{TABLE}; alter table t alter n set not null")
    copying.source.execute("insert into t values (-1, null, 1, 'bad', 1)")
    report = copying.copy()
    (folder,) = map(Path, report.quarantine)
    (path,) = folder.iterdir()
    rows = pq.read_table(path)
    place = rows.schema.get_field_index("n")
    pq.write_table(rows.set_column(place, rows.field(place), pa.array([5], rows.field(place).type)), path)
    again = arrowsync.copy(str(folder), copying.target.uri, target_table="t", mode="append", progress=False)
    assert (again.status, again.rows_written) == ("complete", 1)
    assert copying.target.execute("select n, note from t where id = -1") == [(5, "bad")]


def test_the_first_of_equal_rows_goes_in_and_a_refused_row_takes_no_key(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric, w bigint, note text not null, parent bigint)"
    )
    copying.source.execute(
        "truncate t; insert into t values (1, 1, 1, null, 1), (1, 2, 2, 'b', 1), (1, 3, 3, 'c', 1)"
    )
    copying.copy()
    assert copying.target.execute("select n from t") == [(2,)]
    assert copying.refused().column("n").to_pylist() == [1, 3]


@newest_server
def test_rows_may_refer_to_rows_of_their_own_batch(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric not null, w bigint, note text, "
        "parent bigint references t)"
    )
    copying.source.execute(
        "truncate t; insert into t values (1, 1, 1, 'child', 2), (2, 2, 2, 'parent', null)"
    )
    copying.source.execute(
        "insert into t values (3, null, 3, 'bad', 2), (4, 4, 4, 'orphan', 9), (5, 5, 5, 'of bad', 3)"
    )
    copying.copy()
    assert copying.ids() == [1, 2]


@newest_server
def test_rows_may_refer_to_rows_of_later_batches(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric not null, w bigint, note text, "
        "parent bigint references t)"
    )
    # Chains of three, each child before its parent; one chain's end is bad, so that two others are orphans.
    copying.source.execute(
        "update t set parent = id + 1000; update t set parent = null where id > 2000; "
        "update t set n = null where id = 2500"
    )
    report = copying.copy(limits=Limits(batch_rows=100))
    assert copying.ids() == [id for id in range(1, ROWS + 1) if id % 1000 != 500]
    assert report.rows_read == ROWS
    assert sorted(copying.refused().column("id").to_pylist()) == [500, 1500, 2500]


@newest_server
def test_rows_may_refer_to_later_rows_where_all_are_good(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric, w bigint, note text, parent bigint references t)"
    )
    copying.source.execute("update t set parent = 3001 - id")
    assert copying.copy(limits=Limits(batch_rows=100)).status == "complete"


@newest_server
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("parent", "bad"),
    [("3000 - id % 10", 0), ("3000 - id % 10", 1), ("nullif(id + 1, 3001)", 0)],
    ids=["the last ten", "one is bad", "a chain"],
)
def test_rows_may_refer_to_rows_of_what_would_be_other_partitions(
    copying: Copying, parent: str, bad: int
) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric not null, w bigint, note text, "
        "parent bigint references t)"
    )
    copying.source.execute(
        f"update t set parent = {parent}; insert into t select 0, null, 0, 'bad', null where {bad} = 1; analyze t"
    )
    report = copying.copy(limits=Limits(partition_bytes="60 KiB", batch_rows=100))
    assert copying.ids() == list(range(1, ROWS + 1))
    assert (report.rows_quarantined, report.partitions) == (bad, 1)


@newest_server
@pytest.mark.timeout(60)
def test_a_chain_of_twenty_thousand_rows_with_a_bad_link_takes_seconds(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric not null, w bigint, note text, "
        "parent bigint references t)"
    )
    copying.source.execute(
        "insert into t select i, i, i, 'x' from generate_series(3001, 20000) i;"
        "update t set parent = nullif(id - 1, 0); update t set n = null where id = 10000; analyze t"
    )
    report = copying.copy(max_bad_rows=20_000)
    assert copying.ids() == list(range(1, 10_000))
    assert report.rows_quarantined == 10_001


@newest_server
def test_a_row_whose_parent_comes_twice_once_bad_and_once_good_goes_in(copying: Copying) -> None:
    copying.target.execute(
        "create table t (id bigint primary key, n numeric, w bigint, note text, parent bigint references t)"
    )
    copying.source.execute(
        "truncate t; insert into t (id, n, parent) values (5, 1, 999), (5, 2, null), (6, 3, 5), (7, 4, 6)"
    )
    assert copying.copy().rows_quarantined == 1
    assert copying.ids() == [5, 6, 7]


@newest_server
def test_scattered_bad_rows_are_found_in_every_partition(copying: Copying) -> None:
    copying.target.execute(
        "create table p (id bigint primary key); insert into p values (1); "
        "create table t (id bigint primary key, "
        "n numeric check (n < 100000), w bigint, note varchar(6) not null, parent bigint references p)"
    )
    copying.source.execute(
        "alter table t add primary key (id); "
        "insert into t select i, i, i, 'x', 1 from generate_series(3001, 20000) i; "
        "update t set parent = 2 where id % 500 = 1; update t set note = null where id % 500 = 2; "
        "update t set note = 'too long for it' where id % 500 = 3; "
        "update t set n = 100000 where id % 500 = 4; analyze t"
    )
    report = copying.copy(limits=Limits(partition_bytes="256 KiB", batch_rows=700), verify="hash")
    assert report.partitions > 2
    assert (report.rows_written, report.rows_quarantined) == (20_000 - 160, 160)
    assert copying.ids() == [id for id in range(1, 20_001) if id % 500 not in (1, 2, 3, 4)]
    refused = copying.refused()
    assert sorted(refused.column("id").to_pylist()) == [
        id for id in range(1, 20_001) if id % 500 in (1, 2, 3, 4)
    ]
    assert set(refused.column("_arrowsync_sqlstate").to_pylist()) == {"23503", "23502", "22001", "23514"}
    assert len(set(refused.column("_arrowsync_partition").to_pylist())) == report.partitions


@newest_server
def test_many_rows_that_only_the_insert_finds_bad_are_all_found(copying: Copying) -> None:
    copying.target.execute(
        f"""{TABLE}; create function refuse() returns trigger language plpgsql as $$ begin
        if new.id % 20 = 0 or new.id between 500 and 550 then raise exception 'no'; end if;
        return null; end $$;
        create trigger refuse after insert on t for each row execute function refuse()"""
    )
    copying.copy(limits=Limits(batch_rows=1_000))
    good = [id for id in range(1, ROWS + 1) if id % 20 and not 500 <= id <= 550]
    assert copying.ids() == good
    assert sorted([*good, *copying.refused().column("id").to_pylist()]) == list(range(1, ROWS + 1))


def test_a_trigger_that_repairs_rows_gets_them_before_they_are_judged_and_is_named(copying: Copying) -> None:
    copying.target.execute(
        """create table t (id bigint, n numeric check (n > 0), w bigint, note text not null, parent bigint);
        create function repair() returns trigger language plpgsql as $$ begin
        new.note := coalesce(new.note, 'repaired'); return new; end $$;
        create trigger repair before insert on t for each row execute function repair()"""
    )
    copying.source.execute("insert into t values (0, 1, 1, null, 1), (-1, -1, 1, 'bad', 1)")
    report = copying.copy()
    assert "triggers of the target may change rows: repair" in str(report.warnings)
    assert copying.target.execute("select note from t where id = 0") == [("repaired",)]
    assert copying.refused().column("id").to_pylist() == [-1]


@pytest.mark.parametrize("bad_row", [False, True], ids=["among good rows", "with a bad row beside them"])
def test_a_trigger_that_silently_drops_rows_fails_the_copy_and_is_named(
    copying: Copying, bad_row: bool
) -> None:
    copying.target.execute(
        f"""{TABLE}; create function drop_row() returns trigger language plpgsql as $$ begin
        if new.id = 77 then return null; end if; return new; end $$;
        create trigger drops_77 before insert on t for each row execute function drop_row()"""
    )
    if bad_row:
        copying.target.execute("alter table t alter note set not null")
        copying.source.execute("insert into t values (-1, 1, 1, null, 1)")
    with pytest.raises(
        TransferError, match=r"3,?000 rows were sent, 2,?999 were stored.*drops_77"
    ) as failure:
        copying.copy()
    assert isinstance(failure.value.__cause__, VerificationError)
    assert copying.ids() == []


# -- how many are too many -----------------------------------------------------------------------------------

HALF_BAD = f"{TABLE}; alter table t add constraint odd check (id % 2 = 1)"


@newest_server
@pytest.mark.parametrize(
    ("most", "passes"),
    [(1_500, True), (1_499, False), (0, False), ("50%", True), ("49.9%", False), ("100%", True)],
)
def test_max_bad_rows_ends_the_copy_when_it_is_passed(
    copying: Copying, most: int | str, passes: bool
) -> None:
    copying.target.execute(HALF_BAD)
    if passes:
        assert copying.copy(max_bad_rows=most).rows_quarantined == 1_500
        return
    with pytest.raises(TransferError, match=r"max_bad_rows=.*row 2 of its partition: .*odd") as failure:
        copying.copy(max_bad_rows=most)
    assert isinstance(failure.value.__cause__, DataError)
    assert copying.ids() == []
    assert list(copying.quarantine.glob("**/*.parquet")) == []


@newest_server
def test_a_share_is_judged_from_the_thousandth_row_on(copying: Copying) -> None:
    copying.target.execute(HALF_BAD)
    copying.source.execute("delete from t where id > 999")
    assert copying.copy(max_bad_rows="1%").rows_quarantined == 499


@newest_server
def test_max_bad_rows_counts_all_partitions_and_keeps_what_the_others_committed(copying: Copying) -> None:
    copying.target.execute(HALF_BAD)
    copying.source.execute("alter table t add primary key (id); analyze t")
    limits = Limits(partition_bytes="64 KiB")
    with pytest.raises(TransferError, match="max_bad_rows=1000") as failure:
        copying.copy(max_bad_rows=1_000, limits=limits, workers=1)
    report = failure.value.report
    files = list(copying.quarantine.glob("**/*.parquet"))
    assert 0 < report.rows_quarantined <= 1_000
    assert len(files) == report.partitions
    assert len(copying.ids()) == report.rows_written
    with pytest.raises(TransferError, match="max_bad_rows=1200"):  # what is committed counts when it goes on
        copying.copy(max_bad_rows=1_200, limits=limits, workers=1)
    assert copying.copy(max_bad_rows=1_500, limits=limits).rows_quarantined == 1_500
    assert copying.ids() == list(range(1, ROWS + 1, 2))
    assert copying.refused().num_rows == 1_500


@newest_server
def test_rows_that_are_all_bad_end_in_a_failed_report(copying: Copying) -> None:
    copying.target.execute(
        """create table t (id bigint, n numeric, w bigint, note text, parent bigint);
        create function refuse() returns trigger language plpgsql as $$ begin
        raise exception 'closed'; end $$;
        create trigger refuse before insert on t for each row execute function refuse()"""
    )
    with pytest.raises(TransferError, match="closed") as failure:
        copying.copy(max_bad_rows=200)
    assert failure.value.report.status == "failed"
    assert copying.ids() == []


# -- on_bad_rows="stop" --------------------------------------------------------------------------------------


@newest_server
def test_stop_names_the_first_bad_row_and_keeps_nothing(copying: Copying) -> None:
    copying.target.execute(HALF_BAD.replace("id % 2 = 1", "id <> 1234"))
    copying.source.execute("alter table t add primary key (w, note)")
    with pytest.raises(TransferError) as failure:
        copying.copy(on_bad_rows="stop")
    cause = failure.value.__cause__
    assert isinstance(cause, DataError)
    assert (cause.row, cause.constraint, cause.sqlstate) == ("w=1234, note=x1234", "odd", "23514")
    assert cause.table == "public.t"
    assert copying.ids() == []
    assert not copying.quarantine.exists()


@newest_server
def test_stop_names_the_column_and_numbers_the_row_where_there_is_no_key(copying: Copying) -> None:
    copying.target.execute("create table t (id bigint, n numeric, w integer, note text, parent bigint)")
    copying.source.execute("insert into t values (-1, 1, 3000000000, 'bad', 1)")
    with pytest.raises(TransferError) as failure:
        copying.copy(on_bad_rows="stop")
    assert isinstance(failure.value.__cause__, DataError)
    assert (failure.value.__cause__.column, failure.value.__cause__.row) == ("w", "3,001 of its partition")


@newest_server
def test_an_error_of_the_sources_own_query_is_no_bad_row(copying: Copying) -> None:
    copying.target.execute("create table t (x bigint)")
    with pytest.raises(TransferError, match=r"division by zero.*100 / \(id - 50\)"):
        copying.copy(table=None, query="select 100 / (id - 50) as x from t", target_table="t")
    assert not copying.quarantine.exists()


# -- files ---------------------------------------------------------------------------------------------------


@newest_server
def test_a_column_is_text_only_where_a_value_does_not_fit(copying: Copying) -> None:
    copying.source.execute(
        "drop table t; create table t (id bigint, at timestamptz, day date, span interval, several int[]); "
        "insert into t select i, '2024-02-03 04:05:06Z', '2024-02-03', '1 day', '{1,null}' "
        "from generate_series(1, 9) i; "
        "update t set day = 'infinity' where id = 9"
    )
    copying.target.execute(
        "create table t (id bigint check (id < 8), at timestamptz, day date, span interval, several int[])"
    )
    copying.copy()
    refused = copying.refused()
    assert refused.schema.field("at").type == pa.timestamp("us", "UTC")
    assert [str(value) for value in refused.column("day").to_pylist()] == ["2024-02-03", "infinity"]
    assert [str(value) for value in refused.column("span").to_pylist()] == ["P1D", "P1D"]
    assert [str(value) for value in refused.column("several").to_pylist()] == ["{1,NULL}", "{1,NULL}"]


@newest_server
def test_the_files_of_an_earlier_transfer_are_kept_beside_those_of_the_next(copying: Copying) -> None:
    copying.target.execute(HALF_BAD)
    copying.copy()
    copying.copy()
    folders = sorted(copying.quarantine.glob("*/*"))
    assert [folder.name for folder in folders] == ["public.t", "public.t.1"]
    assert [pq.read_table(folder).num_rows for folder in folders] == [1_500, 1_500]


def losing_the_first_commit(
    monkeypatch: pytest.MonkeyPatch, copying: Copying, *, also: str = "select"
) -> list[int]:
    """Cut the target's connections as the first commit begins; the rows in the file at that moment."""
    commit, filed = DatabaseWriter.commit, list[int]()

    def lose_once(writer: DatabaseWriter, receipt: Receipt) -> None:
        if not filed:
            filed.append(copying.refused().num_rows)
            copying.target.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                f"where datname = current_database() and state = 'idle in transaction'; {also}"
            )
        commit(writer, receipt)

    monkeypatch.setattr(DatabaseWriter, "commit", lose_once)
    return filed


@newest_server
def test_a_partition_tried_again_replaces_its_file(copying: Copying, monkeypatch: pytest.MonkeyPatch) -> None:
    copying.target.execute(HALF_BAD)
    filed = losing_the_first_commit(monkeypatch, copying)
    report = copying.copy()
    assert (report.retries, filed) == (1, [1_500])
    assert (copying.refused().num_rows, len(copying.ids())) == (1_500, 1_500)


@newest_server
def test_rows_that_were_bad_before_and_are_good_now_leave_no_file(
    copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying.target.execute(HALF_BAD)
    filed = losing_the_first_commit(monkeypatch, copying, also="alter table t drop constraint odd")
    report = copying.copy()
    assert (report.status, report.rows_written, filed) == ("complete", ROWS, [1_500])
    assert list(copying.quarantine.glob("**/*.parquet")) == []
