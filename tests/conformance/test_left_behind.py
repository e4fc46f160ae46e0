"""What a table's design says is the same in its copy, or the plan and the report say what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from tests.conformance.conftest import Pair
from tests.fix_postgresql import Database

Make = Callable[..., Path]
Rows = Callable[[Path, str], list[tuple[Any, ...]]]


def left_behind(source: str | Path, target: str | Path, **asked: Any) -> list[str]:
    """What the plan of table t says, and the report again."""
    plan = arrowsync.plan(source, target, table="t", **asked)
    report = plan.run()
    said = tuple(warning for warning in report.warnings if ": replaced " not in warning)
    assert (report.status, said) == ("complete", plan.warnings)
    return [warning.partition(": ")[2] for warning in plan.warnings]


# -- keys of PostgreSQL in a SQLite file -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (
            "a text, constraint u unique nulls not distinct (a)",
            ["unique constraint 'u' is weaker: nulls not distinct is not carried over"],
        ),
        (
            "a int constraint k primary key deferrable initially deferred, b int constraint u unique deferrable",
            [
                "primary key 'k': deferrable initially deferred is not carried over",
                "unique constraint 'u': deferrable is not carried over",
            ],
        ),
        (
            'a text collate "C" constraint k primary key, b text collate pg_catalog."POSIX"',
            [],  # SQLite's own order
        ),
        ("a text collate ucs_basic, \"NULLS NOT DISTINCT\" text constraint \"x DEFERRABLE y\" unique", []),
        (
            "a int, b int, foreign key (a, b) references other match full on delete set null",
            ["foreign key 't_a_b_fkey': match full is not carried over"],
        ),
    ],
)  # fmt: skip
def test_what_a_sqlite_file_s_keys_cannot_say_is_said_by_the_plan(
    postgresql: Database, tmp_path: Path, body: str, lost: list[str]
) -> None:
    postgresql.execute(f"create table other (a int, b int, primary key (a, b)); create table t ({body})")
    arrowsync.copy(postgresql.uri, tmp_path / "t.db", table="other")
    assert left_behind(postgresql.uri, tmp_path / "t.db") == lost


def test_what_a_sqlite_file_s_indexes_cannot_say_is_said_by_the_plan(
    postgresql: Database, tmp_path: Path
) -> None:
    postgresql.execute(
        "create table t (a text); create unique index i on t (a) nulls not distinct;"
        "create unique index j on t (a collate \"POSIX\"); create index k on t (a) where a > ''"
    )
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        "index 'i' is weaker: nulls not distinct is not carried over",
        "index 'k' is not carried over",
    ]


def test_a_key_of_texts_that_ignore_case_is_weaker_in_a_sqlite_file(
    postgresql: Database, tmp_path: Path
) -> None:
    postgresql.execute(
        "create schema ext; create extension citext schema ext; create domain word as ext.citext;"
        "create table t (a ext.citext unique, b word primary key, c ext.citext);"
        "create index i on t (c); create unique index u on t (c)"
    )
    lost = "is weaker: comparison of ext.citext is not carried over"
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        f"primary key 't_pkey' {lost}",
        f"unique constraint 't_a_key' {lost}",
        f"index 'u' {lost}",
    ]


def test_a_key_by_a_collation_that_is_not_deterministic_is_weaker_in_a_sqlite_file(
    postgresql: Database, tmp_path: Path
) -> None:
    if not postgresql.execute("select 1 from pg_collation where collname = 'de-x-icu'"):
        pytest.skip("this server is built without ICU")
    postgresql.execute(
        "create collation nc (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "create domain word as text collate nc;"
        'create table t (a text collate nc unique, b word primary key, c text collate "de-x-icu" unique);'
        "create unique index i on t (a); create unique index j on t (c collate nc);"
        'create unique index k on t (a collate "C"); create unique index l on t (b collate "de-x-icu");'
        "create index m on t (c collate nc)"
    )
    lost = "is weaker: collate public.nc is not carried over"
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        "column 'a': its collation is not carried over: public.nc",
        "column 'c': its collation is not carried over: pg_catalog.\"de-x-icu\"",
        f"primary key 't_pkey' {lost}",
        f"unique constraint 't_a_key' {lost}",
        f"index 'i' {lost}",
        f"index 'j' {lost}",
        "index 'l': sorting by \"de-x-icu\" is not carried over",
        "index 'm': sorting by public.nc is not carried over",
    ]


# -- keys of a SQLite file in PostgreSQL -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (
            "a text collate nocase primary key",
            [
                "column 'a': its collation is not carried over: nocase",
                "the primary key of a is weaker: collate nocase is not carried over",
            ],
        ),
        (
            "a text, b text collate binary, unique (a, b collate RTRIM)",
            ["the unique constraint of a, b is weaker: collate rtrim is not carried over"],
        ),
        (
            "a int not null on conflict replace default 3, b int constraint u unique on conflict ignore,"
            "c int primary key on conflict abort",
            [
                "column 'a': not null on conflict replace is not carried over",
                "unique constraint 'u': on conflict ignore is not carried over",
            ],
        ),
    ],
)
def test_a_key_of_a_sqlite_file_that_postgresql_makes_weaker_is_said_by_the_plan(
    sqlite_file: Make, postgresql: Database, body: str, lost: list[str]
) -> None:
    assert left_behind(sqlite_file(f"create table t ({body})"), postgresql.uri) == lost


def test_an_index_of_a_sqlite_file_that_postgresql_makes_weaker_is_said_by_the_plan(
    sqlite_file: Make, postgresql: Database
) -> None:
    source = sqlite_file(
        "create table t (a text collate nocase, b text);"
        "create unique index u on t (a); create index i on t (a); create index j on t (b collate nocase)"
    )
    assert left_behind(source, postgresql.uri) == [
        "column 'a': its collation is not carried over: nocase",
        "index 'u' is weaker: collate nocase is not carried over",
        "index 'j': collate nocase is not carried over",
    ]


def test_a_check_of_a_sqlite_file_stands_in_postgresql_in_its_own_words(
    sqlite_file: Make, postgresql: Database
) -> None:
    source = sqlite_file(
        'create table t ("Old" int check (old > 0), b int, check (b <> 7) on conflict fail);'
        "insert into t values (1, 2)"
    )
    assert left_behind(source, postgresql.uri, rename={"b": "B"}) == []
    checks = (
        "select pg_get_constraintdef(oid) from pg_constraint "
        "where contype = 'c' and conrelid = 't'::regclass order by 1"
    )
    assert postgresql.execute(checks) == [('CHECK (("B" <> 7))',), ('CHECK (("Old" > 0))',)]


def test_a_check_of_texts_that_ignore_case_is_not_one_of_texts_that_do_not(
    sqlite_file: Make, postgresql: Database
) -> None:
    source = sqlite_file(
        "create table t (a text collate nocase constraint c check (a in ('x', 'y')), b text"
        " constraint d check (b in ('x', 'y')));"
        "insert into t values ('X', 'x')"
    )
    assert left_behind(source, postgresql.uri) == [
        "column 'a': its collation is not carried over: nocase",
        "check 'c' is not carried over",
    ]


# -- between equal databases -------------------------------------------------------------------------------


def test_renamed_columns_of_postgresql_keep_all_that_their_keys_and_indexes_say(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute("""
        create table t ("a ""(b" text, b text, c int, d int,
            constraint one unique nulls not distinct ("a ""(b", b) include (c),
            constraint two primary key (c) deferrable initially deferred,
            constraint three unique (d) deferrable);
        create unique index four on t (b collate "POSIX" text_pattern_ops desc nulls last) include (d, c)
            nulls not distinct with (fillfactor = 60)""")
    new = {'a "(b': "A", "b": 'x "y"', "c": "d", "d": "c"}
    assert left_behind(source.uri, target.uri, rename=new) == []
    source.execute(
        "alter table t rename \"a \"\"(b\" to \"A\"; alter table t rename b to \"x \"\"y\"\"\";"
        "alter table t rename c to e; alter table t rename d to c; alter table t rename e to d"
    )  # fmt: skip
    design = """select pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass
            and contype <> 'n' union all
        select pg_get_indexdef(indexrelid) from pg_index where indrelid = 't'::regclass order by 1"""
    assert target.execute(design) == source.execute(design)


def test_an_index_that_includes_a_column_which_is_left_out_is_made_without_it(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create table t (a int, b int, constraint k unique nulls not distinct (a) include (b));"
        "create index i on t (a) include (b)"
    )
    assert left_behind(source.uri, target.uri, exclude=["b"]) == [
        "unique constraint 'k' is weaker: nulls not distinct is not carried over"
    ]
    assert len(target.execute("select 1 from pg_index where indrelid = 't'::regclass")) == 2


def test_renamed_columns_of_a_sqlite_file_keep_all_that_their_keys_and_indexes_say(
    sqlite_file: Make, sqlite_rows: Rows, tmp_path: Path
) -> None:
    source = sqlite_file("""create table t (
        "a b" text, [c] text, d text collate nocase unique on conflict ignore, f text,
        unique ("A B" collate nocase /* , */, c) on conflict replace, unique (f), unique (f collate rtrim));
        create unique index i on t (d collate rtrim, "a b" collate nocase desc);
        insert into t values ('x', 'y', 'z', 1)""")
    assert left_behind(source, tmp_path / "t.db", rename={"a b": "c", "c": 'a "b"', "d": "e"}) == []
    copied = tmp_path / "t.db"
    keys = """select i.origin, group_concat(quote(x.name) || x."desc" || x.coll, ' ')
        from pragma_index_list('t') i, pragma_index_xinfo(i.name) x where x.key group by i.name"""
    assert sorted(sqlite_rows(copied, keys)) == [
        ("c", "'e'0rtrim 'c'1nocase"),
        ("u", "'c'0nocase 'a \"b\"'0BINARY"),
        ("u", "'e'0nocase"),
        ("u", "'f'0BINARY"),
        ("u", "'f'0rtrim"),
    ]
    sqlite_file("insert into t values ('X', 'y', 'new', 2), ('new', 'new', 'NEW', 3)", name="t.db")
    assert sqlite_rows(copied, "select * from t") == [("X", "y", "new", "2")]


CLAUSES = """
create table t (id integer primary key on conflict replace, a int not null on conflict replace default 3,
    b int default null not null on conflict ignore, twice int as (a * 2) stored, thrice int as (a * 3));
insert into t values (1, 1, 1);
"""


def test_what_a_table_does_with_rows_that_break_its_rules_it_does_in_another_file(
    sqlite_file: Make, sqlite_rows: Rows, tmp_path: Path
) -> None:
    source, copied = sqlite_file(CLAUSES), tmp_path / "t.db"
    assert left_behind(source, copied) == []
    more = "insert into t values (1, null, 2), (2, 2, null)"
    for name in ("source.db", "t.db"):
        sqlite_file(more, name=name)
    assert (
        sqlite_rows(copied, "select * from t") == [(1, 3, 2, 6, 9)] == sqlite_rows(source, "select * from t")
    )
    hidden = "select name, hidden from pragma_table_xinfo('t') where hidden"
    assert sqlite_rows(copied, hidden) == sqlite_rows(source, hidden) == [("twice", 3), ("thrice", 2)]


def test_a_descending_integer_key_is_no_rowid_in_another_file_either(
    sqlite_file: Make, sqlite_rows: Rows, tmp_path: Path
) -> None:
    source = sqlite_file(
        "create table t (id integer constraint k primary key desc on conflict ignore, v);"
        "insert into t values (null, 'a'), ('word', 'b'), (7, 'c')"
    )
    assert left_behind(source, tmp_path / "t.db", verify="hash") == []
    sqlite_file("insert into t values (7, 'again'), (null, 'd')", name="t.db")
    assert sqlite_rows(tmp_path / "t.db", "select id, v from t") == [
        (None, "a"), ("word", "b"), (7, "c"), (None, "d"),
    ]  # fmt: skip


# -- what hangs on a table ---------------------------------------------------------------------------------

HANGING = """
create table t (id int, v text);
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger audit before insert on t for each row execute function f();
create trigger "the other" after update on t for each row execute function f();
create rule kept as on delete to t do instead nothing;
create policy mine on t using (id > 0); create policy yours on t using (id < 0);
alter table t enable row level security; alter table t force row level security;
"""


@pytest.mark.parametrize("into", ["postgresql", "sqlite"])
def test_triggers_rules_and_policies_stay_behind_and_the_plan_says_so(
    new_database: Callable[..., Database], tmp_path: Path, into: str
) -> None:
    source, target = new_database(), new_database()
    source.execute(HANGING)
    assert left_behind(source.uri, target.uri if into == "postgresql" else tmp_path / "t.db") == [
        "trigger 'audit', trigger 'the other', rule 'kept', policy 'mine', policy 'yours' and row security "
        "are not carried over"
    ]


def test_what_hangs_on_the_table_that_is_replaced_hangs_on_the_new_one(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    for database in (source, target):
        database.execute(HANGING)
    source.execute("create trigger third before delete on t for each row execute function f()")
    for _ in range(2):
        assert left_behind(source.uri, target.uri, mode="replace") == ["trigger 'third' is not carried over"]
    hanging = """
        select relforcerowsecurity::text from pg_class where oid = 't'::regclass
        union all select pg_get_ruledef(oid) from pg_rewrite where ev_class = 't'::regclass
        union all select pg_get_triggerdef(oid) from pg_trigger where tgrelid = 't'::regclass order by 1"""
    source.execute("drop trigger third on t")
    assert target.execute(hanging) == source.execute(hanging)


def test_a_table_that_inherits_and_one_of_partitions_stand_alone_in_their_copy_and_the_plan_says_so(
    new_database: Callable[..., Database], tmp_path: Path
) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create table parent (a int); create table t (b int) inherits (parent);"
        "create table parted (a int) partition by range (a)"
    )
    assert left_behind(source.uri, target.uri) == ["inheritance from 'public.parent' is not carried over"]
    for place in (target.uri, tmp_path / "t.db"):
        plan = arrowsync.plan(source.uri, place, table="parted")
        assert plan.warnings == (
            "public.parted: public.parted is partitioned by RANGE (a); its copy is one table",
        )


def test_triggers_of_a_view_stay_behind_and_the_plan_says_so(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create view t as select 1 as x; create function f() returns trigger language plpgsql as "
        "'begin return new; end';"
        "create trigger inserts instead of insert on t for each row execute function f()"
    )
    report = arrowsync.copy(source.uri, target.uri, views=True)
    assert report.warnings == ("public.t: trigger 'inserts' is not carried over",)


TRIGGERED = """
create table t (id integer primary key, v text); create table log (v text);
create trigger "it's" after insert on t begin insert into log values (new.v); end;
create trigger second before delete on "T" begin select raise(ignore); end;
insert into t values (1, 'a');
"""


@pytest.mark.parametrize("into", ["postgresql", "sqlite"])
def test_triggers_of_a_sqlite_file_stay_behind_and_the_plan_says_so(
    sqlite_file: Make, postgresql: Database, tmp_path: Path, into: str
) -> None:
    target = postgresql.uri if into == "postgresql" else tmp_path / "t.db"
    assert left_behind(sqlite_file(TRIGGERED), target) == [
        """trigger "it's" and trigger 'second' are not carried over"""
    ]


def test_the_table_that_is_replaced_in_a_sqlite_file_leaves_its_triggers_to_the_new_one(
    sqlite_file: Make, sqlite_rows: Rows
) -> None:
    source, target = sqlite_file("create table t (v text); insert into t values ('b')"), "target.db"
    copied = sqlite_file(TRIGGERED, name=target)
    for _ in range(2):
        assert left_behind(source, copied, mode="replace") == []
    sqlite_file("insert into t values ('c'); delete from t", name=target)
    assert sqlite_rows(copied, "select v from t") == [("b",), ("c",)]
    assert sqlite_rows(copied, "select v from log") == [("a",), ("c",)]


def test_a_virtual_table_is_a_plain_one_in_its_copy_and_the_plan_says_so(
    sqlite_file: Make, tmp_path: Path
) -> None:
    source = sqlite_file("create virtual table t using fts5(a, b); insert into t values ('x', 'y')")
    assert left_behind(source, tmp_path / "t.db") == ["virtual table module 'fts5' is not carried over"]


def test_a_strict_table_that_a_cast_makes_lax_says_so(sqlite_file: Make, tmp_path: Path) -> None:
    source = sqlite_file("create table t (a int) strict")
    assert left_behind(source, tmp_path / "t.db", cast={"a": "numeric(10,2)"}) == [
        "strict is not carried over"
    ]


# -- numbers, domains and columns that are left out --------------------------------------------------------

NUMBERED = """
create sequence mine; create table t (
    id int generated always as identity (start with 5 increment by 5 maxvalue 500 cycle) {key}, v int);
insert into t (v) values (1), (2);
"""


def test_a_sequence_that_a_sqlite_file_cannot_count_like_is_said_by_the_plan(
    postgresql: Database, tmp_path: Path
) -> None:
    postgresql.execute(NUMBERED.format(key="primary key"))
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        "column 'id': increment by 5, maxvalue 500 and cycle are not carried over"
    ]


def test_a_sequence_goes_on_counting_as_it_did_in_a_column_of_another_type(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute(NUMBERED.format(key="") + "alter table t add d smallint generated by default as identity")
    assert left_behind(source.uri, target.uri, cast={"id": "smallint", "d": "bigint"}) == []
    rows = "insert into t (v) select 3 from generate_series(1, 99) returning id, d"
    assert target.execute(rows) == source.execute(rows)
    assert target.execute(
        "select sequencename::text, max_value from pg_sequences where schemaname = 'public' order by 1"
    ) == [("t_d_seq", 2**63 - 1), ("t_id_seq", 500)]


def test_a_serial_key_goes_on_counting_in_a_sqlite_file_and_back_in_postgresql(
    new_database: Callable[..., Database], sqlite_file: Make, sqlite_rows: Rows, tmp_path: Path
) -> None:
    source, back = new_database(), new_database()
    source.execute(
        "create table t (id serial primary key, v int);"
        "insert into t (v) values (1), (2), (3); delete from t where id > 1"
    )
    copied = tmp_path / "t.db"
    assert left_behind(source.uri, copied) == []
    sqlite_file("insert into t (v) values (4)", name="t.db")
    assert sqlite_rows(copied, "select id from t") == [(1,), (4,)]
    assert left_behind(copied, back.uri) == []
    assert back.execute("insert into t (v) values (5) returning id") == [(5,)]


def test_a_serial_that_is_no_key_does_not_count_in_a_sqlite_file_and_the_plan_says_so(
    postgresql: Database, tmp_path: Path
) -> None:
    postgresql.execute("create table t (id serial, v int)")
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        "column 'id' will not number new rows: only a primary key alone does in SQLite"
    ]


def test_the_rules_of_a_domain_stay_behind_and_the_plan_says_so(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute(
        "create domain word as text; create domain price as int check (value > 0);"
        "create domain named as text not null; create table t (a word, b price, c named)"
    )
    assert left_behind(postgresql.uri, tmp_path / "t.db") == [
        "domain public.price: its rules are not carried over",
        "domain public.named: its rules are not carried over",
    ]


PARTS = """
create table t (a int, b int, c text, constraint pair unique (a, b), constraint low check (b < a),
    constraint plain check (b > 0));
create index only_b on t (b); create index part on t (a) where b > 1; create index few on t (a) where a > 1;
create index lowered on t (lower(c)); create index added on t ((a + b)); create index twice on t ((b * 2));
"""


def test_what_goes_with_a_column_that_is_left_out_is_said_by_the_plan(pair: Pair) -> None:
    pair.source.run(PARTS)
    gone = [
        "unique constraint 'pair', index 'added', index 'part' and check 'low' are not carried over",
        "unique constraint 'pair', index 'part', index 'added' and check 'low' are not carried over",
    ]
    said = left_behind(pair.source.uri, pair.target.uri, exclude=["b"])
    assert said[0] in gone
    same = type(pair.source) is type(pair.target)
    others = {f"index {name!r} is not carried over" for name in ("few", "lowered")}
    assert set(said[1:]) == (set() if same else others)
    made = {index.name for index in arrowsync.inspect(pair.target.uri, table="t")[0].indexes}
    assert made == ({"few", "lowered"} if same else set())
