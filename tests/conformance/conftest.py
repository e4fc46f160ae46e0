"""Every pair of endpoints. A new endpoint is one more branch of `make_place`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.places import Place, PostgreSQLPlace, SQLitePlace
from tests.fix_postgresql import INSTALLATIONS, Database

KINDS = ("postgresql", "sqlite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A pair with a SQLite file runs beside the newest server alone.

    What an older one reads and writes, a pair of two databases shows; SQLite's types meet it in test_zoo_sqlite.
    """
    again = [item for item in items if isinstance(item, pytest.Function) and is_repeated(item)]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


def is_repeated(item: pytest.Function) -> bool:
    values = item.callspec.params if hasattr(item, "callspec") else {}
    return "sqlite" in values.get("pair", ()) and values["postgresql_server"] in INSTALLATIONS[1:]


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
