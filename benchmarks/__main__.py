"""Runs every benchmark and writes results.json, results.md and results.svg, with versions and machine."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.chart import draw
from benchmarks.harness import ROOT, machine, markdown, parse, say, table

# The promises first, the curves last.
BENCHMARKS = ("roundtrip", "memory", "copy", "bad_rows", "startup", "micro", "scaling")
PROG = "python -m benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(prog=PROG, add_help=False)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results")
    mine, arguments = parser.parse_known_args()
    parse(arguments, prog=f"{PROG} [--output DIR]")  # a slip of the pen shows now, not after an hour
    found = [run(name, arguments) for name in BENCHMARKS]
    mine.output.mkdir(parents=True, exist_ok=True)
    (mine.output / "results.json").write_text(json.dumps(found, indent=1))
    text = report(found)
    (mine.output / "results.md").write_text(text)
    draw(found, mine.output / "results.svg")
    print(text)
    sys.exit(not all(check["passed"] for each in found for check in each["checks"]))


def run(name: str, arguments: list[str]) -> dict[str, Any]:  # Any: JSON
    """One benchmark as a process of its own; one that dies is a failed check."""
    say(f"== {name}")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        died = {
            "what": name,
            "measured": f"exit code {done.returncode}",
            "wanted": "a result",
            "passed": False,
        }
        return {"benchmark": name, "machine": machine(), "rows": [], "checks": [died]}
    return answer


def report(found: list[dict[str, Any]]) -> str:
    facts = table([{"machine": name, "": value} for name, value in found[0]["machine"].items()])
    parts = [markdown(each["benchmark"], each["rows"], each["checks"]) for each in found]
    return "\n\n".join(["# Benchmarks", facts, *parts]) + "\n"


if __name__ == "__main__":
    main()
