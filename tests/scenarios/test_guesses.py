"""pyarrow guesses the type of no bare value while rows move: each guess looks for dateutil, in vain 34 µs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import arrowsync
from arrowsync import Limits
from tests.scenarios.copies import newest_server

COLUMNS = """
    id bigint primary key, price numeric(10,2), whole numeric(12,0), free numeric, flag boolean, part real,
    share double precision, name text, day date, moment timestamp, instant timestamptz, clock time, code uuid,
    amount money, span interval, body bytea, document jsonb, tags text[]
"""
VALUES = """
    n, n / 7.0, n, n / 3.0, n % 2 = 0, n / 2.0, n / 3.0, 'größer ' || n, date '2024-02-29' + n,
    timestamp '2024-02-29 12:00:00.5' + n * interval '1 s', timestamptz '2024-02-29 12:00:00Z' + n * interval '1 s',
    time '00:00' + n * interval '1 s', gen_random_uuid(), n::text::money, n * interval '1 s', '\\x00ff',
    json_build_object('n', n), array['a', n::text]
"""  # fmt: skip


class Absent:
    """dateutil, as where it is not installed; counts how often it is looked for."""

    def __init__(self) -> None:
        self.looked_for = 0

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "dateutil":
            self.looked_for += 1
            raise ModuleNotFoundError(name)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Absent:
    finder = Absent()
    for name in [name for name in sys.modules if name.partition(".")[0] == "dateutil"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    return finder


def test_it_would_be_seen(absent: Absent) -> None:
    pa.scalar(1)
    assert absent.looked_for


@newest_server
@pytest.mark.parametrize("route", ["postgresql → sqlite → postgresql", "postgresql → parquet → postgresql"])
def test_more_batches_make_pyarrow_guess_no_more_types(
    route: str, postgresql: Any, absent: Absent, tmp_path: Path
) -> None:
    postgresql.execute(f"create table public.t ({COLUMNS})")
    postgresql.execute(f"insert into public.t select {VALUES} from generate_series(1, 4000) n")
    between = tmp_path / ("t.db" if "sqlite" in route else "t.parquet")

    def guesses(copy: Callable[[Limits], Any], rows: int) -> int:
        before = absent.looked_for
        copy(Limits(batch_rows=rows))
        return absent.looked_for - before

    def out(limits: Limits) -> None:
        between.unlink(missing_ok=True)
        arrowsync.copy(postgresql.uri, between, table="t", progress=False, limits=limits)

    def back(limits: Limits) -> None:
        arrowsync.copy(
            between,
            postgresql.uri,
            table="t",
            target_table="u",
            mode="replace",
            progress=False,
            limits=limits,
        )

    for copy in (out, back):
        copy(Limits())  # what is there already is asked for more
        assert guesses(copy, 100) == guesses(copy, 4_000), copy.__name__
