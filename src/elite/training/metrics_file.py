"""metrics.csv: one row per logged step, a column per metric."""

import csv
import io
from pathlib import Path
from typing import Any

from elite.errors import DataError
from elite.files import open_regular, write_bytes

Row = dict[str, Any]


class MetricsFile:
    """Appends to FOLDER/metrics.csv. A run that resumes at ``step`` keeps the earlier rows and replaces the others.

    The file must end with a complete row: a truncated one could contain the number of an earlier step.
    """

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        self.path = folder / "metrics.csv"
        self._resumed_at = step
        self._columns: list[str] | None = None  # None: the file has not been read yet

    def append(self, row: Row) -> None:
        """Append a row, with the key ``step``. A new column rewrites the file.

        Raises:
            DataError: metrics.csv of the resumed run does not contain comma-separated values.
        """
        columns = sorted({*self._known_columns(), *row})
        if columns != self._columns:
            self._rewrite(columns, [*self._read(), row])
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, columns).writerow(row)

    def _known_columns(self) -> list[str]:
        if self._columns is None:
            kept = [
                row
                for row in self._read()
                if (step := row.get("step", "")).isdecimal() and int(step) < self._resumed_at
            ]
            self._rewrite(list(kept[0]) if kept else [], kept)
        assert self._columns is not None
        return self._columns

    def _read(self) -> list[Row]:
        """Rows of the file; empty cells are ''."""
        if not self.path.exists():
            return []
        try:
            with open_regular(self.path, None) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as file:
                return [{name: value or "" for name, value in row.items() if name} for row in csv.DictReader(file)]
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"{self.path}: expected comma-separated values, found other content ({error}). Move the file away."
            ) from error

    def _rewrite(self, columns: list[str], rows: list[Row]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, text.getvalue().encode())
        self._columns = columns
