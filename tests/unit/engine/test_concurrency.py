"""How many partitions are under way at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.limits import Limits
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.engine.concurrency import concurrency_of_connections, wanted_concurrency, wanted_readers
from arrowsync.errors import ConfigError
from tests.unit.builders import TRANSFER, a_plan, a_table

MANY = Capabilities(readers=None, writers=None)


@dataclass(frozen=True)
class Place:
    """What an endpoint says of its concurrency."""

    server: str | None = None
    capabilities: Capabilities = MANY


ONE_WRITER = Capabilities(readers=None, writers=1)
ONE_READER = Capabilities(readers=1, writers=None)
ONE, OTHER, FILE = Place("postgresql://a:1"), Place("postgresql://b:1"), Place()


def asked_for(partitions: int, asked: dict[str, Any]) -> TablePlan:
    parts = tuple(Partition(number) for number in range(partitions))
    return replace(a_plan(a_table(), partitions=parts), transfer=replace(TRANSFER, **asked))


def pipes(source: Any, sink: Any, *, partitions: int = 100, **asked: Any) -> int:
    return wanted_concurrency(asked_for(partitions, asked), source, sink)


def readers(source: Any, sink: Any, *, partitions: int = 100, **asked: Any) -> int:
    return wanted_readers(asked_for(partitions, asked), source, sink)


def test_there_are_as_many_as_workers_but_never_more_than_partitions() -> None:
    assert pipes(ONE, OTHER, workers=8) == 8
    assert pipes(ONE, OTHER, workers=8, partitions=3) == 3


def test_a_sink_of_one_writer_and_a_source_of_one_reader_have_one() -> None:
    assert pipes(ONE, Place(capabilities=ONE_WRITER), workers=8) == 1
    assert pipes(Place(capabilities=ONE_READER), OTHER, workers=8) == 1


@pytest.mark.parametrize(
    ("source", "sink", "most", "allowed"),
    [
        *((ONE, OTHER, most, most - 1) for most in (3, 10)),
        *((ONE, ONE, most, allowed) for most, allowed in ((4, 1), (5, 1), (6, 2), (10, 4))),
        (FILE, ONE, 3, 2),
        (FILE, FILE, 1, None),
        (ONE, OTHER, None, None),
    ],
)
def test_connections_are_counted_by_server(
    source: Any, sink: Any, most: int | None, allowed: int | None
) -> None:
    assert concurrency_of_connections(most, source, sink) == allowed


@pytest.mark.parametrize(("sink", "fewest"), [(OTHER, 3), (ONE, 4)])
def test_too_few_connections_are_refused_with_the_number_that_would_do(sink: Any, fewest: int) -> None:
    with pytest.raises(ConfigError, match=f"too few. Give it {fewest}"):
        concurrency_of_connections(fewest - 1, ONE, sink)


def test_workers_are_fewer_where_connections_are() -> None:
    assert pipes(ONE, OTHER, workers=8, limits=Limits(max_connections=4)) == 3


def test_the_one_partition_under_way_is_read_by_all_workers() -> None:
    assert readers(ONE, Place(capabilities=ONE_WRITER), workers=8) == 8
    assert readers(ONE, OTHER, workers=8, partitions=1) == 8


def test_of_several_partitions_each_has_one_reader() -> None:
    assert readers(ONE, OTHER, workers=8, partitions=2) == 1


def test_readers_are_no_more_than_the_source_takes_and_its_server_allows() -> None:
    assert readers(Place(capabilities=ONE_READER), Place(capabilities=ONE_WRITER), workers=8) == 1
    assert readers(ONE, Place(capabilities=ONE_WRITER), workers=8, limits=Limits(max_connections=4)) == 3
    assert readers(ONE, ONE, workers=8, partitions=1, limits=Limits(max_connections=4)) == 1
