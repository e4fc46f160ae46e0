"""What import-linter's contracts in pyproject.toml say, and which modules may decide what."""

import ast
import subprocess
import sys
from pathlib import Path

import arrowsync

# In a process of its own: import-linter's logging settings turn off every logger that exists.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
PACKAGE = Path(arrowsync.__file__).parent


def test_imports_point_one_way() -> None:
    done = subprocess.run([sys.executable, "-c", LINT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def modules_where(*, name: str = "", attribute: tuple[str, str] = ("", "")) -> set[str]:
    """The modules that use the name, or that attribute of what is called so."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            owner = ast.unparse(node.value).rpartition(".")[2] if isinstance(node, ast.Attribute) else ""
            named = isinstance(node, ast.Name | ast.alias) and name in (
                node.id if isinstance(node, ast.Name) else node.name,
            )
            if named or (isinstance(node, ast.Attribute) and (owner, node.attr) == attribute):
                found.add(str(path.relative_to(PACKAGE)))
    return found


def test_what_a_write_mode_does_is_decided_in_one_module() -> None:
    assert modules_where(name="WriteMode") == {"core/transfer.py", "core/write_modes.py"}


def test_the_condition_on_the_source_s_rows_is_read_in_one_module() -> None:
    assert modules_where(attribute=("transfer", "where")) == {"engine/table_selection.py"}


def test_no_method_is_a_stub_that_raises_not_implemented() -> None:
    assert modules_where(name="NotImplementedError") == set()
