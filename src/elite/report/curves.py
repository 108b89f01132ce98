"""Training curves from metrics.csv."""

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from elite.report.result_files import damaged, read_utf8
from elite.shapes import Float

_AXES = ("step", "epoch")
_CURVES = (
    "train/loss",
    "train/miou_present",
    "val/miou",
    "val/miou_present",
    "val/teacher_miou",
    "val/teacher_miou_present",
    "scans/s",
)
# Logged loss terms (already weighted) by the part of the loss that they belong to.
_TERMS = {
    "student": r"train/(cross_entropy|lovasz)",
    "student heads": r"train/student\d+/.+",
    "teacher heads": r"train/teacher\d*/.+",
    "divergence": r"train/kl\d+",
    "orthogonality": r"train/orthogonality",
}


@dataclass(frozen=True)
class Curve:
    """Finite values ``y`` of one column against ``x``; ``dropped`` counts the values that are not finite."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Curves:
    """Columns of metrics.csv.

    Attributes:
        axis: name of the x axis: step, or else epoch, or else row.
        columns: curves by column name.
        terms: parts of the loss, each the sum of its columns: student, student heads, teacher heads, divergence,
            orthogonality.
    """

    axis: str = _AXES[0]
    columns: dict[str, Curve] = field(default_factory=dict)
    terms: dict[str, Curve] = field(default_factory=dict)

    def at_best(self, name: str) -> float | None:
        """Value of a column where the student first reached its best mean IoU over all classes; None if unknown."""
        best, curve = self.columns.get("val/miou"), self.columns.get(name)
        if best is None or curve is None or not len(best):
            return None
        found = curve.y[curve.x == best.x[best.y.argmax()]]
        return float(found[0]) if len(found) else None


def read_curves(path: Path) -> Curves:
    """Read metrics.csv, in which most cells of a row are empty. A missing file has no curves.

    A last row without its end is not read, since the run was killed as it wrote the row.

    Raises:
        DataError: the file is damaged.
    """
    if not path.exists():
        return Curves()
    rows = _read_rows(path)
    header = rows[0]
    if not set(header) & {*_AXES, *_CURVES}:
        expected = f"expected a header with columns such as step and {_CURVES[0]}"
        raise damaged(path, f"{expected}, found {','.join(header)[:80]}")
    parts = {term: [name for name in header if re.fullmatch(pattern, name)] for term, pattern in _TERMS.items()}
    known = {*_AXES, *_CURVES}.union(*parts.values())
    columns = {name: _column(path, header, rows, name) for name in header if name in known}
    axis = next((name for name in _AXES if name in columns), "row")
    x = columns.get(axis, np.arange(len(rows) - 1, dtype=np.float64))
    curves = {name: _curve(x, columns[name]) for name in _CURVES if name in columns}
    # A row without one of the columns, such as that of a batch without images, has no sum.
    terms = {term: _curve(x, np.sum([columns[name] for name in part], axis=0)) for term, part in parts.items() if part}
    return Curves(axis, _logged(curves), _logged(terms))


def _logged(curves: dict[str, Curve]) -> dict[str, Curve]:
    """Curves with at least one logged value, finite or not."""
    return {name: curve for name, curve in curves.items() if len(curve) or curve.dropped}


def _read_rows(path: Path) -> list[list[str]]:
    text = read_utf8(path)
    try:
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines(), strict=True))
    except csv.Error as error:
        raise damaged(path, f"expected comma-separated values, found {error}") from error
    if not rows:
        raise damaged(path, "expected a header, found an empty file")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise damaged(path, f"expected {len(rows[0])} values in line {number}, found {len(row)}")
    return rows


def _column(path: Path, header: list[str], rows: list[list[str]], name: str) -> Float[np.ndarray, "rows"]:
    """NaN where the cell is empty, infinity where the logged number is not finite."""
    position = header.index(name)
    values = np.full(len(rows) - 1, np.nan)
    for i, row in enumerate(rows[1:]):
        try:
            value = float(row[position] or "nan")
        except ValueError as error:
            found = repr(row[position])[:60]
            raise damaged(path, f"expected a number under '{name}' in line {i + 2}, found {found}") from error
        values[i] = np.inf if row[position] and not math.isfinite(value) else value
    return values


def _curve(x: Float[np.ndarray, "rows"], y: Float[np.ndarray, "rows"]) -> Curve:
    finite = np.isfinite(x) & np.isfinite(y)
    return Curve(x[finite], y[finite], int(np.isinf(y).sum()))
