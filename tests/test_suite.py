"""Rules of the test suite."""

import ast
import re
from pathlib import Path

from tests.conftest import UNIT

TESTS = Path(__file__).parent
GUARANTEES = TESTS.parent / "docs/reference/guarantees.md"


def _imported_modules(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module}


def test_test_files_import_shared_code_from_support_only() -> None:
    shared = ("tests.support", "tests.fuzz", "tests.conftest")
    wrong = {
        f"{path.relative_to(TESTS)} imports {module}"
        for path in TESTS.rglob("*.py")
        for module in _imported_modules(path)
        if module.split(".")[0] == "tests" and not module.startswith(shared)
    }
    assert not wrong


def _test_names(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_guarantees_page_names_existing_tests() -> None:
    rows = [line for line in GUARANTEES.read_text().splitlines() if line.startswith("| ") and "guarantee |" not in line]
    named = [re.findall(r"`(test_\w+\.py)::(test_\w+)`", row) for row in rows]
    assert len(rows) >= 40
    assert all(named), [row for row, tests in zip(rows, named, strict=True) if not tests]
    missing = {(file, test) for tests in named for file, test in tests if test not in _test_names(TESTS / file)}
    assert not missing


def test_unit_subset_names_existing_files() -> None:
    assert not {name for name in UNIT if not (TESTS / f"test_{name}.py").exists()}
