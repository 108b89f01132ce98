"""CSV files of results. A run of the ablation is one row: how it was made, its scores, its seconds per step."""

import csv
import fcntl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elite.files import remove_partial_line
from elite.metrics import score

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Run:
    """A run of the ablation. Scores and shares are in [0, 1], None where the run has none or has failed.

    Attributes:
        block, row, seed: name of the run; ``experiments.ablation.rows`` defines blocks and rows.
        miou: over the classes present, all points of the unseen streets.
        miou_in_view, miou_out_of_view: the same for points inside and outside the camera's view.
        thin, rare: mean IoU of the classes THIN and RARE, all points.
        accuracy: share of correct points.
        teacher_miou: mIoU of the teacher at the pixels of the validation points of sequence 08.
        trained_parameters: of student, stage heads, teacher and its heads together.
        seconds_per_step: at the end of the run.
        commit, hardware: code and machine.
        settings: options of ``elite train``, with OUT for the folder of the ablation.
        failed: reason of the failure, empty for a finished run.
    """

    block: str
    row: str
    seed: int
    miou: float | None = None
    miou_in_view: float | None = None
    miou_out_of_view: float | None = None
    thin: float | None = None
    rare: float | None = None
    accuracy: float | None = None
    teacher_miou: float | None = None
    trained_parameters: int | None = None
    seconds_per_step: float | None = None
    commit: str = ""
    hardware: str = ""
    settings: str = ""
    failed: str = ""

    @property
    def name(self) -> str:
        return f"{self.block}-{self.row}-{self.seed}"


_READ: dict[str, Callable[[str], Any]] = {"seed": int, "trained_parameters": int}
_TEXT = {"block", "row", "commit", "hardware", "settings", "failed"}


def read_runs(path: Path) -> list[Run]:
    """Rows of a CSV file, none if the file does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [Run(**{name: _value(name, text) for name, text in row.items()}) for row in csv.DictReader(file)]


def _value(name: str, text: str) -> Any:
    if name in _TEXT:
        return text
    return _READ.get(name, float)(text) if text else None


def append_run(path: Path, run: Run) -> None:
    """Append one run. Several processes may append to one file."""
    append_row(path, {name: _text(value) for name, value in asdict(run).items()})


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Append one row, after a header in a new file."""
    with path.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_partial_line(path)  # of a process that was killed
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def report_score(name: str, row: Mapping[str, object], confusion: np.ndarray, results: Path | None) -> None:
    """Print mIoU of the classes present / accuracy in %; append them after the values of ``row`` to ``results``."""
    found = score(confusion)
    miou, accuracy = f"{100 * found.miou_present:.1f}", f"{100 * found.accuracy:.1f}"
    print(f"{name}: {miou} / {accuracy}", flush=True)
    if results:
        append_row(results, {**row, "miou": miou, "accuracy": accuracy})


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.5f}" if isinstance(value, float) else str(value)
