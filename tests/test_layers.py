"""Runs import-linter's contracts, which stand in pyproject.toml."""

import subprocess
import sys

# In a process of its own: import-linter's logging settings turn off every logger that exists.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_imports_point_one_way() -> None:
    done = subprocess.run([sys.executable, "-c", LINT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
