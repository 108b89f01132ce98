"""Numbers of points by field, whatever file or array they come from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.errors import DataError, first_line
from elite.shapes import Shaped

ANSWER_FIELDS = ("class_id", "probability", "entropy")  # that labelled points have besides those of the scan
_NUMBERS = "biuf"  # kinds of numpy types


@dataclass(frozen=True)
class PointFields:
    """Numbers of the points of a file, in the order of the file.

    Attributes:
        values: an array per field, with the type of the file.
        shape: (n,), or (rows, columns) of an organised cloud, whose points follow row by row.
    """

    values: Mapping[str, Shaped[np.ndarray, "n"]]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return int(np.prod(self.shape))

    def find(self, names: Iterable[str]) -> str | None:
        """Return the first of these fields that exists, in any case of letters; None without any."""
        by_name = {field.lower(): field for field in self.values}
        return next((by_name[name.lower()] for name in names if name.lower() in by_name), None)


def fields_of(points: Any, columns: Sequence[str], *, source: object = "points") -> PointFields:
    """Name the numbers of an array of points.

    Args:
        points: a structured array, whose fields have names; or numbers of shape (n, k), or (rows, columns, k) of an
            organised cloud, where k is the number of ``columns``. A tensor on a CPU is an array too. Masked numbers are
            NaN.
        columns: names of the k numbers of a point.
        source: names the array in messages.

    Raises:
        DataError: another shape, or no numbers.
    """
    try:
        masked = isinstance(points, np.ma.MaskedArray) and points.dtype.names is None
        array = np.ma.filled(points.astype(np.float64), np.nan) if masked else np.asarray(points)
    except (ValueError, TypeError) as error:  # rows of other lengths; tensors on a GPU
        raise DataError(f"{source}: expected an array, found {first_line(error)}. Convert the points.") from error
    if array.dtype.names is not None:
        return _structured(array, source)
    if array.dtype.kind not in _NUMBERS or array.ndim not in (2, 3) or array.shape[-1] != len(columns):
        raise DataError(
            f"{source}: expected points of shape (n, {len(columns)}) or (rows, columns, {len(columns)}) with the "
            f"numbers {' '.join(columns)}, found {array.dtype} of shape {array.shape}. Change the columns of the "
            "sensor, or convert the points."
        )
    rows = array.reshape(-1, len(columns))
    return PointFields({name: rows[:, i] for i, name in enumerate(columns)}, array.shape[:-1])


def _structured(array: np.ndarray, source: object) -> PointFields:
    names = array.dtype.names or ()
    if unusable := [name for name in names if array.dtype[name].kind not in _NUMBERS or array.dtype[name].shape]:
        raise DataError(
            f"{source}: expected one number per point in each field, found {array.dtype[unusable[0]]} in "
            f"'{unusable[0]}'. Remove the field or split it."
        )
    return PointFields({name: array[name].reshape(-1) for name in names}, array.shape)
