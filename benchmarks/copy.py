"""How fast is a copy beside what people would use instead, on every route and two kinds of table?

Whole processes, started cold, taking turns: a warm-up whose rows are proven equal to the source's, then the
median of five. Nobody makes keys or indexes. Row-wise copying gets 300 k rows, and is compared by rows/s.
What the drivers alone take, in one run, says how near arrowsync is to what it is built on.
"""

import json
import os
import shutil
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path

from benchmarks.data import KEYLESS, TEXTS, Dataset, Size
from benchmarks.harness import (
    ROOT,
    Measured,
    MiB,
    Options,
    Result,
    Row,
    copy_command,
    main,
    measure,
    median_of,
    say,
)
from benchmarks.proof import digest
from benchmarks.shelf import Route, Shelf, routes, shelf
from tests.fix_postgresql import installations

DRIVER = "ARROWSYNC_POSTGRESQL_DRIVER"
WHEEL, OPTIMISED = "arrowsync", "arrowsync, optimised driver"
FLOOR, OPTIMISED_FLOOR = "drivers alone", "drivers alone, optimised"  # what no program over them can go below
# In an environment of their own, and arrowsync in another: DuckDB's extensions need that very version, and
# where pandas is installed pyarrow imports it, half a second and 40 MiB that arrowsync would pay for.
RIVAL_PACKAGES = (
    *("duckdb==1.5.5", "duckdb-extension-postgres-scanner", "duckdb-extension-sqlite-scanner"),
    *("pandas>=2.2", "psycopg[binary]>=3.2", "sqlalchemy>=2"),
)
ROW_WISE = ("multi_row_insert", "executemany", "copy_rows", "pandas_to_sql")
ROW_WISE_ROWS = 300_000
RIVALS = Path(__file__).parent / "rivals"
PIPE = """
psql -qX "$2" -c "$4"
psql -qX "$1" -c "copy $3 to stdout (format binary)" | psql -qX "$2" -c "copy $3 from stdin (format binary)"
"""
PSQL_PIPE = ("sh", "-ec", PIPE, "sh")

# At least this many times a rival's speed.
AT_LEAST = {"psql pipe": 0.5, "multi_row_insert": 35.0, "executemany": 8.0, "copy_rows": 1.7}
AT_LEAST_DUCKDB = {("postgresql", "postgresql"): 1.0, ("postgresql", "sqlite"): 1.0}
AT_LEAST_DUCKDB_ELSEWHERE = 0.8
AT_LEAST_DUCKDB_OPTIMISED = 1.0


@dataclass(frozen=True)
class Contestant:
    """Who copies a table by a command of source and target; `rows` if it gets the first ones only.

    `turns` is how many it takes at most, the one for the proof not counted.
    """

    name: str
    command: Callable[[str, str], Sequence[str | Path]]
    environment: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    turns: int | None = None


def run(options: Options) -> Result:
    result = Result()
    mine, python = own_python(options.data), rivals_python(options.data)
    with shelf(options) as place:
        for route in routes(options):
            for dataset in (KEYLESS, TEXTS):
                contestants = [*ours(dataset, mine), *rivals(route, dataset, python)]
                judge(result, route, race(result, place, route, dataset, contestants, options.repeat))
    return result


def ours(dataset: Dataset, python: Path) -> list[Contestant]:
    """arrowsync and the bare drivers: the wheel's, and the one that the environment names."""

    def command(source: str, target: str) -> list[str | Path]:
        return [python, *copy_command(source, target, table=dataset.name)[1:]]

    def alone(source: str, target: str) -> list[str | Path]:
        return [python, "-m", "benchmarks.rivals.drivers_alone", source, target, dataset.name]

    found = [Contestant(WHEEL, command), Contestant(FLOOR, alone, turns=1)]
    if driver := os.environ.get(DRIVER):
        optimised = {DRIVER: driver}
        found.append(Contestant(OPTIMISED, command, optimised))
        found.append(Contestant(OPTIMISED_FLOOR, alone, optimised, turns=1))
    return found


def rivals(route: Route, dataset: Dataset, python: Path) -> list[Contestant]:
    """Who else can take this route, as far as it is installed."""
    attach = RIVALS / "duckdb_attach.py"
    found = [Contestant("DuckDB", lambda source, target: [python, attach, source, target, dataset.name])]
    if route == ("postgresql", "postgresql"):
        # pgcopydb needs the pg_dump of the server's version.
        newest = [str(each.binaries) for each in installations()[:1]]
        tools = {"PATH": os.pathsep.join([*newest, os.environ["PATH"]])}
        table = (dataset.name, dataset.ddl())
        found.append(
            Contestant("psql pipe", lambda source, target: [*PSQL_PIPE, source, target, *table], tools)
        )
        if pgcopydb := shutil.which("pgcopydb"):
            clone = (pgcopydb, "clone", "--restart", "--source")
            found.append(
                Contestant("pgcopydb", lambda source, target: [*clone, source, "--target", target], tools)
            )
    if route == ("sqlite", "postgresql"):
        if pgloader := shutil.which("pgloader"):
            found.append(Contestant("pgloader", lambda source, target: [pgloader, _file(source), target]))
        if dataset is KEYLESS:
            found += [row_wise(python, method, dataset) for method in ROW_WISE]
    return found


def row_wise(python: Path, method: str, dataset: Dataset) -> Contestant:
    program = [str(python), str(RIVALS / "row_by_row.py"), method]
    table = [dataset.name, dataset.ddl(), str(ROW_WISE_ROWS)]
    return Contestant(
        method, lambda source, target: [*program, _file(source), target, *table], rows=ROW_WISE_ROWS
    )


def _file(sqlite: str) -> str:
    return sqlite.removeprefix("sqlite:///")


def own_python(data: Path) -> Path:
    """The Python of an environment with arrowsync alone: this one has the tests' pandas."""
    return environment(data / "arrowsync", ("--editable", str(ROOT)))


def rivals_python(data: Path) -> Path:
    return environment(data / "rivals", RIVAL_PACKAGES)


def environment(folder: Path, packages: tuple[str, ...]) -> Path:
    """The Python of an environment, made when it is missing or lists other packages."""
    python, installed = folder / "bin" / "python", folder / "installed"
    if not installed.exists() or installed.read_text() != str(packages):
        say(f"installing {' '.join(packages)}")
        venv.create(folder, with_pip=True, clear=True)
        measure([python, "-m", "pip", "install", "--quiet", *packages])
        installed.write_text(str(packages))
    return python


def race(
    result: Result, place: Shelf, route: Route, dataset: Dataset, contestants: list[Contestant], repeat: int
) -> dict[str, Row]:
    """Let them take turns, the first turn for the proof alone; the rows of those who always finished."""
    source = place.source(route[0], dataset)
    proven: dict[str, bool] = {}
    runs: dict[str, list[Measured]] = {each.name: [] for each in contestants}
    rows = {
        each.name: result.row(route=" → ".join(route), table=dataset.name, contestant=each.name)
        for each in contestants
    }
    for turn in range(repeat + 1):
        for each in contestants:
            if "error" in rows[each.name] or (each.turns is not None and turn > each.turns):
                continue
            with result.attempt(rows[each.name]):
                target = place.target(route[1], dataset)
                measured = measure(each.command(source, target), each.environment)
                if turn == 0:
                    proven[each.name] = equal(dataset, source, target, each.rows)
                else:
                    runs[each.name].append(measured)
    finished = {each.name: rows[each.name] for each in contestants if "error" not in rows[each.name]}
    size = place.size(dataset)
    for each in contestants:
        if each.name in finished:
            share = min(1.0, each.rows / size.rows) if each.rows else 1.0
            copied = Size(round(size.rows * share), round(size.bytes * share))
            finished[each.name] |= {**figures(runs[each.name], copied), "equal": proven[each.name]}
            what = f"{' → '.join(route)} · {dataset.name} · {each.name}: cells"
            result.check(what, "equal" if proven[each.name] else "differ", "equal", proven[each.name])
    return finished


def equal(dataset: Dataset, source: str, target: str, rows: int | None) -> bool:
    return source_digest(source, dataset.name, rows) == digest(target, dataset)


@cache
def source_digest(source: str, table: str, rows: int | None) -> str:
    """Once for all contestants: of 6 M rows it takes a quarter of a minute."""
    return digest(source, {each.name: each for each in (KEYLESS, TEXTS)}[table], rows=rows)


def figures(runs: Sequence[Measured], size: Size) -> Row:
    middle = median_of(runs)
    return {
        "rows": size.rows,
        "seconds": middle.seconds,
        "fastest": min(run.seconds for run in runs),
        "slowest": max(run.seconds for run in runs),
        "cpu_seconds": middle.cpu_seconds,
        "rows_per_second": size.rows / middle.seconds,
        "mb_per_second": size.bytes / middle.seconds / 1e6,
        "peak_mib": middle.peak_bytes / MiB,
        "longest_source_query": query_seconds(middle.output),
    }


def query_seconds(output: str) -> float | None:
    """What arrowsync reports; nobody else does."""
    try:
        return float(json.loads(output)["report"]["longest_source_query_seconds"])
    except (ValueError, TypeError, KeyError):
        return None


def judge(result: Result, route: Route, rows: Mapping[str, Row]) -> None:
    """Compare arrowsync with each rival in rows a second, where there is a promise to keep."""

    def speed(name: str) -> float:
        return float(str(rows[name]["rows_per_second"]))

    for ours, rival in product((WHEEL, OPTIMISED), rows):
        if ours in rows and (least := promised(route, ours, rival)):
            ratio = speed(ours) / speed(rival)
            what = f"{' → '.join(route)} · {rows[ours]['table']} · {ours} beside {rival}"
            result.check(what, f"{ratio:.2f} ×", f"≥ {least:g} ×", passed=ratio >= least)


def promised(route: Route, ours: str, rival: str) -> float | None:
    if rival == "DuckDB":
        if ours == OPTIMISED:
            return AT_LEAST_DUCKDB_OPTIMISED
        return AT_LEAST_DUCKDB.get(route, AT_LEAST_DUCKDB_ELSEWHERE)
    return AT_LEAST.get(rival)


if __name__ == "__main__":
    main("copy", run)
