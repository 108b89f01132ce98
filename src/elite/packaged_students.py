"""Students that the package contains, found by name."""

from pathlib import Path

from elite.files import TEXT_BYTES, read_file
from elite.paths import expanded

_FOLDER = Path(__file__).parent / "models"
_SUFFIX = ".elite"  # also for libelite


def packaged_students() -> tuple[str, ...]:
    """Names of the packaged students, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


def is_packaged_student(name: str | Path) -> bool:
    """Whether this is the name of a packaged student. An existing file or folder of that name comes first."""
    return str(name) in packaged_students() and not expanded(name).exists()


def student_path(name: str | Path) -> Path:
    """Return the file of a packaged student, or the path as given.

    Raises:
        ConfigError: as ``elite.paths.expanded``.
    """
    return _FOLDER / f"{name}{_SUFFIX}" if is_packaged_student(name) else expanded(name)


def summary_of_card(name: str) -> str:
    """Return the first sentence of the model card of a packaged student, the Markdown file of its name."""
    lines = read_file(_FOLDER / f"{name}.md", TEXT_BYTES).decode().splitlines()
    return next(line for line in lines if line and not line.startswith("#")).partition(". ")[0].rstrip(".")


def expected_student() -> str:
    """Description of a student, with the names of the packaged ones, for messages."""
    packaged = packaged_students()
    names = f", or a packaged student ({', '.join(packaged)})" if packaged else ""
    return f"a checkpoint (.ckpt) or a student (.safetensors, .elite){names}"
