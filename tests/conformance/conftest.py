"""Every pair of endpoints. A new endpoint is one more branch of `make_place`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.places import Place, PostgreSQLPlace, SQLitePlace
from tests.fix_postgresql import Database

KINDS = ("postgresql", "sqlite")


class Pair(NamedTuple):
    source: Place
    target: Place


@pytest.fixture(params=product(KINDS, KINDS), ids=lambda kinds: "-to-".join(kinds))
def pair(
    request: pytest.FixtureRequest,
    new_database: Callable[..., Database],
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    tmp_path: Path,
) -> Pair:
    def make_place(kind: str, name: str) -> Place:
        if kind == "postgresql":
            return PostgreSQLPlace(new_database())
        return SQLitePlace(tmp_path / f"{name}.db", sqlite_file, sqlite_rows)

    source, target = request.param
    return Pair(make_place(source, "source"), make_place(target, "target"))
