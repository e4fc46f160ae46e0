"""What every Source and every Sink owes the engine, by what its capabilities say. An endpoint's tests subclass."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import arrowsync
from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import Source
from arrowsync.core.transfer import Transfer
from arrowsync.endpoints import endpoint as endpoint_of
from arrowsync.engine.stream import reading_plan
from tests.conformance.endpoints import Endpoint, GivenTable

COUNT = 1000
GIVEN = GivenTable(
    "orders",
    pa.table(
        {
            "id": pa.array(range(COUNT), pa.int64()),
            "small": pa.array([number % 7 - 3 for number in range(COUNT)], pa.int16()),
            "weight": pa.array([None if number % 5 == 0 else number / 8 for number in range(COUNT)]),
            "note": pa.array([None if number % 3 == 0 else f"ünï 'q' {number}" for number in range(COUNT)]),
            "paid": pa.array([number % 2 == 0 for number in range(COUNT)]),
            "placed": pa.array([date(2024, 2, 29)] * (COUNT - 1) + [None]),
        }
    ),
    key="id",
    required=("id",),
)
MORE = GIVEN.rows.set_column(0, "id", pc.add(GIVEN.rows.column("id"), COUNT))


class SourceContract:
    """`endpoint` is a fixture of the subclass."""

    @pytest.fixture
    def source(self, endpoint: Endpoint) -> Source:
        endpoint.put(GIVEN)
        return endpoint_of(endpoint.place)

    def test_it_names_its_table_and_what_the_columns_are(self, source: Source) -> None:
        [name] = source.names()
        [table] = source.describe([name])
        assert [column.name for column in table.columns] == GIVEN.rows.column_names
        assert source.capabilities.one_table or name.name == GIVEN.name

    def test_every_row_is_in_one_partition(self, source: Source) -> None:
        [table] = source.describe(source.names())
        plan = reading_plan(Transfer(source=source.identity, target=""), table, source.forms(table))
        read: list[int] = []
        with source.snapshot() as snapshot:
            for partition in source.partitions(table, target_bytes=1 << 14):
                with source.open_reader(plan, partition, snapshot, batch_bytes=1 << 14) as reader:
                    for batch in reader:
                        read += batch.column(0).to_pylist()
        assert sorted(read) == list(range(COUNT))

    def test_every_value_is_read_as_it_was_given(self, source: Source, tmp_path: Path) -> None:
        arrowsync.copy(source, f"{tmp_path}/read.parquet", table=GIVEN.name, verify="hash")
        target = InParquetRead(tmp_path / "read.parquet")
        assert target.rows().equals(GIVEN.rows)

    def test_a_condition_chooses_rows_or_is_refused(self, source: Source) -> None:
        if source.capabilities.one_table:
            with pytest.raises(arrowsync.ConfigError, match="knows no SQL"):
                arrowsync.stream(source, where="id < 3")
        else:
            read = arrowsync.stream(source, table=GIVEN.name, where="id < 3").read_all()
            assert sorted(read.column("id").to_pylist()) == [0, 1, 2]

    def test_what_other_processes_can_read_is_picklable(self, source: Source) -> None:
        if not source.capabilities.shareable:
            pytest.skip("only this process reads it")
        assert pickle.loads(pickle.dumps(source)).identity == source.identity

    def test_reading_can_end_early_and_begin_again(self, source: Source) -> None:
        for _ in range(2):
            with arrowsync.stream(source, table=GIVEN.name) as reader:
                assert reader.read_next_batch().num_rows


class InParquetRead:
    """A copy's rows, in the order and types that were given."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> pa.Table:
        import pyarrow.parquet as pq

        read = pq.read_table(self._path).sort_by("id")
        return pa.table(read.columns, read.column_names).cast(GIVEN.rows.schema)


class SinkContract(SourceContract):
    """A sink is a source too: what was written is read back to prove it."""

    @pytest.fixture
    def capabilities(self, endpoint: Endpoint) -> Capabilities:
        return endpoint_of(endpoint.place).capabilities

    def test_a_new_table_holds_the_rows(self, endpoint: Endpoint) -> None:
        report = arrowsync.copy(GIVEN.rows, endpoint.place, table=GIVEN.name, verify="hash")
        assert (report.status, report.verified) == ("complete", "hash")
        assert endpoint.ids(GIVEN.name) == list(range(COUNT))

    def test_rows_are_added_to_those_that_are_there(self, endpoint: Endpoint) -> None:
        endpoint.put(GIVEN)
        if not endpoint.adds_rows:
            with pytest.raises(arrowsync.ConfigError, match="no rows can be added"):
                arrowsync.copy(MORE, endpoint.place, table=GIVEN.name, mode="append")
            return
        backwards = MORE.select(MORE.column_names[::-1])
        arrowsync.copy(backwards, endpoint.place, table=GIVEN.name, mode="append")
        assert endpoint.ids(GIVEN.name) == list(range(2 * COUNT))

    def test_create_leaves_a_table_with_rows_alone(self, endpoint: Endpoint) -> None:
        endpoint.put(GIVEN)
        with pytest.raises(arrowsync.ConfigError, match="mode append"):
            arrowsync.copy(MORE, endpoint.place, table=GIVEN.name)
        assert endpoint.ids(GIVEN.name) == list(range(COUNT))

    def test_replace_exchanges_all_rows_or_is_refused(
        self, endpoint: Endpoint, capabilities: Capabilities
    ) -> None:
        endpoint.put(GIVEN)
        if capabilities.creates_by_ingest:
            with pytest.raises(arrowsync.ConfigError, match="mode replace is not possible"):
                arrowsync.copy(MORE, endpoint.place, table=GIVEN.name, mode="replace")
        else:
            arrowsync.copy(MORE, endpoint.place, table=GIVEN.name, mode="replace")
        first = 0 if capabilities.creates_by_ingest else COUNT
        assert endpoint.ids(GIVEN.name) == list(range(first, first + COUNT))

    def test_a_row_that_does_not_fit_is_put_aside_or_ends_the_copy(
        self, endpoint: Endpoint, capabilities: Capabilities, tmp_path: Path
    ) -> None:
        if not endpoint.adds_rows:
            pytest.skip("its columns are made for the rows")
        endpoint.put(GivenTable("t", pa.table({"id": [0], "n": pa.array([0], pa.int16())}), required=("n",)))
        rows = pa.table({"id": [1, 2], "n": pa.array([1, endpoint.refused], pa.int64())})
        if capabilities.isolates_rows:
            report = arrowsync.copy(
                rows, endpoint.place, table="t", mode="append", quarantine=tmp_path / "quarantine"
            )
            assert (report.status, report.rows_quarantined) == ("partial", 1)
        else:
            with pytest.raises(arrowsync.TransferError, match="Nothing of the table was written"):
                arrowsync.copy(rows, endpoint.place, table="t", mode="append")
        assert endpoint.ids("t") == ([0, 1] if capabilities.isolates_rows else [0])

    def test_rows_are_put_aside_only_where_they_can_be_told_from_others(
        self, endpoint: Endpoint, capabilities: Capabilities
    ) -> None:
        plan = arrowsync.plan(GIVEN.rows, endpoint.place, table=GIVEN.name)
        assert plan.to_dict()["on_bad_rows"] == ("quarantine" if capabilities.isolates_rows else "stop")
        if not capabilities.isolates_rows:
            with pytest.raises(arrowsync.ConfigError, match="cannot tell a refused row"):
                arrowsync.plan(GIVEN.rows, endpoint.place, table=GIVEN.name, on_bad_rows="quarantine")

    @pytest.mark.parametrize("journal", [{}, {"journal": None}], ids=["usual journal", "no journal"])
    def test_a_source_that_fails_leaves_nothing(self, journal: dict[str, None], endpoint: Endpoint) -> None:
        if endpoint.adds_rows:
            endpoint.put(GIVEN)
        mode = "append" if endpoint.adds_rows else "create"
        reader = pa.RecordBatchReader.from_batches(MORE.schema, failing())
        with pytest.raises(arrowsync.TransferError, match="the source is gone"):
            arrowsync.copy(reader, endpoint.place, table=GIVEN.name, mode=mode, **journal)
        assert endpoint.ids(GIVEN.name) == (list(range(COUNT)) if endpoint.adds_rows else [])


def failing() -> Iterator[pa.RecordBatch]:
    yield from MORE.to_batches()
    raise RuntimeError("the source is gone")
