"""What every benchmark shares: options, whole processes measured, checks, and results as JSON or Markdown.

What is copied is in data.py, where it lies in shelf.py.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import distributions
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

MiB = 1 << 20
ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 3600  # for one measured process: 60 M rows through the slowest rival that gets them

Row = dict[str, object]  # one measurement, its columns as printed
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What the command line says; `data` keeps what is made once and copied often."""

    data: Path
    scale: float
    repeat: int
    full: bool
    postgresql: str | None
    routes: tuple[str, ...]
    json: bool


@dataclass(frozen=True)
class Check:
    """Something that must hold: what was measured, beside what was asked for."""

    what: str
    measured: str
    wanted: str
    passed: bool


@dataclass
class Result:
    """What one benchmark found out."""

    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def check(self, what: str, measured: str, wanted: str, passed: bool) -> None:
        self.checks.append(Check(what, measured, wanted, passed))

    def row(self, **what: object) -> Row:
        """A new row that says what is measured; `attempt` fills in the rest."""
        self.rows.append(what)
        return what

    @contextmanager
    def attempt(self, row: Row) -> Iterator[None]:
        """A process that fails in here fails a check and leaves its reason in the row; the next goes on."""
        what = label(row)
        say(what)
        try:
            yield
        except ProcessFailed as error:
            row["error"] = str(error)
            self.check(what, "failed", "finishes", False)


def label(row: Row) -> str:
    """What a row is about, before its figures are filled in."""
    return " · ".join(value if isinstance(value, str) else f"{name} {value}" for name, value in row.items())


class ProcessFailed(Exception):
    """A measured process ended badly; the message is the end of its stderr."""


@dataclass(frozen=True)
class Measured:
    """One process from its start to its end; of several everybody's CPU and the largest one's peak."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


# Whatever drivers the environment names: who is to use them says so.
WHEELS = {"ARROWSYNC_POSTGRESQL_DRIVER": "", "ARROWSYNC_SQLITE_DRIVER": ""}

# A process inherits the peak RSS of the one that forked it, so a lean one starts what is measured; in a group
# of its own, since pgcopydb ends its whole group when it fails.
STOPWATCH = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
patience, *command = sys.argv[1:]
apart = {"process_group": 0, "timeout": float(patience)}
done = subprocess.run(command, capture_output=True, text=True, errors="replace", **apart)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
cpu = used.ru_utime + used.ru_stime
json.dump([seconds, cpu, peak, done.returncode, done.stdout, done.stderr], sys.stdout)
"""


def measure(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command as a whole process, started cold. Raises ProcessFailed."""
    stopwatch = [sys.executable, "-I", "-S", "-c", STOPWATCH, str(PATIENCE_SECONDS), *command]
    variables = {**os.environ, **WHEELS, **(environment or {})}
    # Where it is set, each start would compile every module of an editable install again: 0.2 s.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(stopwatch, capture_output=True, text=True, cwd=ROOT, env=variables)
    if done.returncode:
        raise ProcessFailed(_last_words(done.stderr))
    seconds, cpu, peak, code, output, errors = json.loads(done.stdout)
    if code:
        raise ProcessFailed(_last_words(errors) or f"exit code {code}")
    return Measured(seconds, cpu, peak, output)


def _last_words(errors: str) -> str:
    return " / ".join(errors.strip().splitlines()[-3:])


@dataclass(frozen=True)
class Copied:
    """One arrowsync.copy in a process of its own: what it took, its report, and the modules it imported."""

    measured: Measured
    report: dict[str, Any]  # Any: JSON, Report.to_dict()
    modules: tuple[str, ...]


def copy_command(source: str, target: str, **arguments: object) -> list[str]:
    """A process that does `arrowsync.copy(source, target, **arguments)`; `limits` is a dict of its fields."""
    said = json.dumps({"source": source, "target": target, **arguments})
    return [sys.executable, "-m", "benchmarks.child", said]


def arrowsync_copy(source: str, target: str, **arguments: object) -> Copied:
    """Run that process."""
    measured = measure(copy_command(source, target, **arguments))
    answer = json.loads(measured.output)
    return Copied(measured, answer["report"], tuple(answer["modules"]))


def in_child(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a module's function in a fresh process: there it may load drivers, and two SQLites never meet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        return child.submit(function, *arguments, **named).result()


def median_of(runs: Sequence[Measured]) -> Measured:
    """The median of seconds, wall and CPU, with the largest peak of them all."""
    return Measured(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_seconds for run in runs),
        max(run.peak_bytes for run in runs),
        runs[-1].output,
    )


def say(text: str) -> None:
    """A line of progress; stdout is the result's alone."""
    print(text, file=sys.stderr, flush=True)


def main(name: str, run: Callable[[Options], Result]) -> None:
    """Run one benchmark as a command: its result on stdout, exit code 1 when a check fails."""
    options = parse(sys.argv[1:], prog=f"python -m benchmarks.{name}")
    result = run(options)
    if options.json:
        print(json.dumps({"benchmark": name, "machine": machine(), **asdict(result)}, indent=1, default=str))
    else:
        print(markdown(name, result.rows, [asdict(check) for check in result.checks]))
    sys.exit(not all(check.passed for check in result.checks))


def parse(arguments: Sequence[str], *, prog: str) -> Options:
    parser = argparse.ArgumentParser(prog=prog)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arrowsync-benchmarks"
    parser.add_argument("--data", type=Path, default=cache, help=f"folder of tables and server [{cache}]")
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 M rows [1]")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs after the warm-up [5]")
    parser.add_argument("--full", action="store_true", help="60 M rows too; takes hours")
    parser.add_argument("--postgresql", metavar="URI", help="a server to use; may create databases there")
    parser.add_argument(
        "--routes", default="", help="only these, such as sqlite-postgresql,postgresql-sqlite"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    said = vars(parser.parse_args(arguments))
    routes = tuple(route for route in said.pop("routes").split(",") if route)
    return Options(routes=routes, **said | {"data": said["data"].absolute()})


def machine() -> dict[str, object]:
    """What a reader needs to judge the numbers."""
    versions = {found.name.lower(): found.version for found in distributions()}
    shown = ("pyarrow", "polars", "duckdb", "psycopg", "pandas")
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "commit": _output("git", "describe", "--always", "--dirty", "--exclude=*"),
        **{name: versions[name] for name in sorted(versions) if name.startswith("adbc") or name in shown},
    }


def _processor() -> str:
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def markdown(name: str, rows: Sequence[Row], checks: Sequence[Row]) -> str:
    """A benchmark's rows and checks as two Markdown tables."""
    verdicts = [{**check, "passed": "yes" if check["passed"] else "**NO**"} for check in checks]
    return "\n\n".join(part for part in (f"## {name}", table(rows), table(verdicts)) if part)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table with every column that some row has."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
    return str(value).replace("|", "\\|")
