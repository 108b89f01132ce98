"""metrics.csv: one row per logged step, a column per quantity."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor

from elite.errors import DataError
from elite.files import open_regular, write_bytes

Row = dict[str, Any]


class MetricsFile(Logger):
    """Appends to OUT/metrics.csv; a run that resumes at ``step`` keeps the rows before it, and makes the others anew.

    Lightning's own CSV logger deletes the rows of the run that it resumes.
    """

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._resumed_at = step
        self._columns: list[str] | None = None  # None: the file has not been looked at
        self._rows: list[Row] = []

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The run folder holds config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: v.item() if isinstance(v, Tensor) else v for name, v in metrics.items()}
        self._rows.append(values | {"step": step})

    @rank_zero_only
    def save(self) -> None:
        if not self._rows:
            return
        if self._columns is None:
            self._begin()
        assert self._columns is not None
        columns = sorted({*self._columns, *(name for row in self._rows for name in row)})
        if columns != self._columns:
            self._rewrite(columns, [*self._read(), *self._rows])
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, columns).writerows(self._rows)
        self._rows = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    def _begin(self) -> None:
        kept = [
            row for row in self._read() if (step := row.get("step", "")).isdecimal() and int(step) < self._resumed_at
        ]
        self._rewrite(list(kept[0]) if kept else [], kept)

    def _read(self) -> list[Row]:
        """A row that was cut short when the run was killed has no number in its last column: its step.

        Raises:
            DataError: no comma-separated values.
        """
        if not self.path.exists():
            return []
        try:
            with open_regular(self.path, None) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as file:
                return [{name: value or "" for name, value in row.items() if name} for row in csv.DictReader(file)]
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} holds no comma-separated values ({error}); move it away.") from error

    def _rewrite(self, columns: list[str], rows: list[Row]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, text.getvalue().encode())
        self._columns = columns
