"""Runs the microbenchmarks and gives them the form of the others."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Options, Result, main

SIZER_MICROSECONDS = 10


def run(options: Options) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        # The timeout is for tests; a benchmark repeats until it is sure, and alone.
        options = ["-q", "-n0", "-o", "timeout=600"]
        command = [sys.executable, "-m", "pytest", *options, str(Path(__file__).parent)]
        done = subprocess.run(
            [*command, f"--benchmark-json={answer}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        found = (
            json.loads(answer.read_text() or '{"benchmarks": []}')["benchmarks"] if answer.exists() else []
        )
    result = Result([figures(each) for each in found])
    last = (done.stdout.strip().splitlines() or ["no output"])[-1].strip("= ")
    result.check("microbenchmarks", last, "pass", passed=done.returncode == 0)
    for row in result.rows:
        if row["step"] == "a decision of the sizer":
            cost = float(str(row["median_us"]))
            wanted = f"≤ {SIZER_MICROSECONDS} µs"
            result.check("one decision of the sizer", f"{cost:.2f} µs", wanted, cost <= SIZER_MICROSECONDS)
    return result


def figures(measured: dict[str, Any]) -> dict[str, object]:  # Any: pytest-benchmark's JSON
    values, median = measured["extra_info"].get("values"), measured["stats"]["median"]
    step = measured["name"].removeprefix("test_").replace("_", " ")
    return {"step": step, "median_us": median * 1e6, "ns_per_value": values and median / values * 1e9}


if __name__ == "__main__":
    main("micro", run)
