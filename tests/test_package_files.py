"""Files of the wheel and of the source archive."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "elite"


def test_package_data_lists_each_file_that_the_package_reads() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["elite"]
    listed = {path for pattern in settings for path in PACKAGE.glob(pattern)}
    built = {".py", ".pyc", ".so", ".cpp", ".h", ".txt"}  # modules, and the native library with what builds it
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in built}
    assert files == {path for path in listed if path.is_file()}
