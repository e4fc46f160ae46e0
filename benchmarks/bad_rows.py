"""What do bad rows cost? A thousand scattered in a million, of every kind, and rows that are all bad.

PostgreSQL → PostgreSQL, whole processes, beside a copy of the same rows when all are good.
"""

import time
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from benchmarks.harness import Options, ProcessFailed, Result, arrowsync_copy, copy_command, main, measure
from benchmarks.shelf import Shelf, shelf

ROWS = 1_000_000
AT_MOST = 3.0  # times the clean copy
SOURCE, TARGET = "arrowsync_bench_bad_rows_source", "arrowsync_bench_bad_rows_target"
CLEAN = """
create table t (id bigint primary key, customer int, amount numeric(12,2), placed timestamptz, note text);
insert into t select i, {customer}, {amount}, timestamptz '2024-01-01' + i * interval '1 s', {note}
from generate_series(1, {rows}) i; analyze t
"""
GOOD = {"customer": "i % 1000", "amount": "i / 7.0", "note": "'note number ' || i"}
TARGET_TABLE = """
create table customers (id int primary key);
insert into customers select generate_series(0, 999);
create table t (
    id bigint primary key, customer int not null, amount numeric(12,2) check (amount >= 0),
    placed timestamptz unique, {more} note varchar(24))
"""
TRIGGER = """
create function refuse() returns trigger language plpgsql as $$ begin
if new.amount = 7 and new.note = 'bad' then raise exception 'refused'; end if; return new; end $$;
create trigger refuse before insert on t for each row execute function refuse()
"""
BAD = "i % 1000 = 500"


@dataclass(frozen=True)
class Kind:
    """Bad values in place of good ones, and what the target needs to refuse them."""

    name: str
    bad: dict[str, str]
    more: str = ""
    after: str = ""


KINDS = (
    Kind("null", {"customer": "null"}),
    Kind("check", {"amount": "-1"}),
    Kind("too long", {"note": "repeat('long', 9)"}),
    Kind("unique", {"note": "'the same'"}, after="create unique index on t (note)"),
    Kind("foreign key", {"customer": "-1"}, more="foreign key (customer) references customers,"),
    Kind("trigger", {"amount": "7", "note": "'bad'"}, after=TRIGGER),
)


def run(options: Options) -> Result:
    result = Result()
    with shelf(options) as place, TemporaryDirectory() as folder:
        for kind in KINDS:
            clean = best(result, place, kind, "none", options, folder)
            for share in ("1 in 1,000", "all"):
                seconds = best(result, place, kind, share, options, folder)
                if clean and seconds:
                    what, ratio = f"{kind.name} · {share}", seconds / clean
                    result.check(what, f"{ratio:.2f} × the clean copy", f"≤ {AT_MOST} ×", ratio <= AT_MOST)
    return result


def best(result: Result, place: Shelf, kind: Kind, share: str, options: Options, folder: str) -> float | None:
    """The quickest of some copies, in seconds."""
    row = result.row(kind=kind.name, bad=share)
    with result.attempt(row):
        make_source(place, kind, {"none": "false", "1 in 1,000": BAD, "all": "true"}[share])
        seconds = [one_copy(row, place, kind, share, folder) for _ in range(max(1, options.repeat // 2))]
        row["seconds"] = min(seconds)
        return min(seconds)
    return None


def make_source(place: Shelf, kind: Kind, condition: str) -> None:
    values = {
        name: f"case when {condition} then {kind.bad[name]} else {good} end" if name in kind.bad else good
        for name, good in GOOD.items()
    }
    make_database(place, SOURCE, CLEAN.format(**values, rows=ROWS))


def make_database(place: Shelf, name: str, statements: str) -> None:
    place.server.execute(f"drop database if exists {name} with (force)")
    place.server.execute(f"create database {name} template template0")
    place.server.execute(statements, database=name)
    place.server.execute("checkpoint")


def one_copy(row: dict[str, object], place: Shelf, kind: Kind, share: str, folder: str) -> float:
    make_database(place, TARGET, f"{TARGET_TABLE.format(more=kind.more)}; {kind.after or 'select'}")
    uris, arguments = (place.server.uri(SOURCE), place.server.uri(TARGET)), {"table": "t", "mode": "append"}
    if share == "all":
        return failing_seconds(copy_command(*uris, **arguments, quarantine=folder))
    copied = arrowsync_copy(*uris, **arguments, quarantine=folder)
    row["rows"], row["quarantined"] = copied.report["rows_written"], copied.report["rows_quarantined"]
    return copied.measured.seconds


def failing_seconds(command: list[str]) -> float:
    """A copy that max_bad_rows ends."""
    started = time.perf_counter()
    try:
        measure(command)
    except ProcessFailed as error:
        if "max_bad_rows" in str(error):
            return time.perf_counter() - started
        raise
    raise ProcessFailed("rows that are all bad were copied")


if __name__ == "__main__":
    main("bad_rows", run)
