"""Rules of the test suite."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def _imported_modules(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module}


def test_test_files_import_shared_code_from_support_only() -> None:
    shared = ("tests.support", "tests.fuzz")
    wrong = {
        f"{path.relative_to(TESTS)} imports {module}"
        for path in TESTS.rglob("*.py")
        for module in _imported_modules(path)
        if module.split(".")[0] == "tests" and not module.startswith(shared)
    }
    assert not wrong
