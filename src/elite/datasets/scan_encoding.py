"""Encoding of a scan file, inferred from its numbers: the float32 columns of its sensor, or another one."""

from dataclasses import dataclass

import numpy as np

from elite.sensor import SensorSpec
from elite.shapes import Float, Float32

_MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"# .PCD": ".pcd",
    b"ply": ".ply",
    b"LASF": ".las",
    b"VERSION": ".pcd",
}
_FARTHEST, _BRIGHTEST_RAW = 2000.0, 65_535.0  # metres; largest intensity of any sensor's 16 bits
_EARTH = 1e8  # metres: larger than all map coordinates
_FEWEST_JUDGED = 64  # points: fewer may have any numbers by chance
_IMPLAUSIBLE = 0.01  # share of rows
_USUAL = ("x", "y", "z", "remission", "ring", "time")  # the usual order
_LAYOUTS = (("<f4", 4), ("<f4", 5), ("<f4", 6), ("<f4", 7), ("<f4", 8), ("<f4", 3), ("<f8", 4), ("<f8", 5), ("<f8", 3))


@dataclass(frozen=True)
class OtherEncoding:
    """An encoding that is not that of the sensor.

    Attributes:
        description: for the user, such as ``float64 with 4 numbers per point (120 points)``.
        columns: numbers of a point, if they are float32.
        suffix: of a file of another format.
    """

    description: str
    columns: int | None = None
    suffix: str | None = None

    def remedy(self, sensor: SensorSpec) -> str:
        """Instruction for the user, as a sentence."""
        convert = f"write {' '.join(sensor.columns)} as float32, with remission in 0..{sensor.remission_max:g}"
        if self.suffix is not None:
            return f"Rename the file to its format, {self.suffix}, or convert it: {convert}."
        if self.columns is None:
            return f"Convert it: {convert}."
        given = ", ".join(usual_columns(self.columns))
        return f"Give the sensor its columns in dataset.yaml or --sensor FILE, such as 'columns: [{given}]'."


def usual_columns(count: int) -> tuple[str, ...]:
    """Names of the numbers of a point in their usual order."""
    return (*_USUAL, *(f"column{i}" for i in range(len(_USUAL) + 1, count + 1)))[:count]


def find_other_encoding(data: bytes, sensor: SensorSpec) -> OtherEncoding | None:
    """Find the encoding of a scan file that does not have the float32 columns of its sensor; None if it has.

    Another encoding requires implausible float32 numbers, and plausible ones that vary less from point to point. The
    size of the file proves nothing: each scan with an even number of points also fits float64.
    """
    if (kind := next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)) is not None:
        return OtherEncoding(f"the contents of a {kind} file", suffix=kind)
    if len(data) < sensor.point_bytes * _FEWEST_JUDGED:
        return None
    expected, is_complete = _expected(data, sensor), len(data) % sensor.point_bytes == 0
    if is_complete and (_in_range(expected) or _is_plausible(expected)):
        return None
    rough = _roughness(expected)
    for dtype, columns in _LAYOUTS:
        size = np.dtype(dtype).itemsize * columns
        if len(data) % size == 0 and (dtype, columns) != ("<f4", len(sensor.columns)):
            other = np.frombuffer(data, dtype).reshape(-1, columns)
            if _is_plausible(other) and _roughness(other) < 0.5 * rough:
                text = f"float{8 * np.dtype(dtype).itemsize} with {columns} numbers per point ({len(other)} points)"
                return OtherEncoding(text, columns if dtype == "<f4" else None)
    if is_complete and not _is_plausible(expected[:, :3], _EARTH):
        return OtherEncoding("numbers of another encoding, which are not metres")
    return None


def _expected(data: bytes, sensor: SensorSpec) -> Float32[np.ndarray, "n columns"]:
    """Coordinates and, if the sensor has it, remission of the complete points of a file."""
    rows = np.frombuffer(data[: len(data) // sensor.point_bytes * sensor.point_bytes], "<f4")
    columns = [sensor.columns.index(name) for name in ("x", "y", "z", "remission") if name in sensor.columns]
    rows = rows.reshape(-1, len(sensor.columns))
    return rows if columns == [*range(len(sensor.columns))] else rows[:, columns]


def _in_range(values: Float[np.ndarray, "n columns"]) -> bool:
    """Return whether the extremes are plausible, which suffices for nearly all valid scans and is fast."""
    numbers = values.ravel()
    if not len(numbers):
        return True
    return bool(numbers.min() > -_FARTHEST and 0.1 < numbers.max() < _FARTHEST and values[:, 3:].min(initial=0) >= 0)


def _is_plausible(values: Float[np.ndarray, "n columns"], farthest: float = _FARTHEST) -> bool:
    """Return whether nearly all finite rows have metres in the first columns and an intensity in the fourth."""
    values = values[np.isfinite(values).all(axis=1)]
    distance = np.abs(values[:, :3])
    # The halves of a double are floats of any size. Measured coordinates are rarely this small except 0.
    fits = ((distance < farthest) & ((distance == 0) | (distance > 1e-6))).all(axis=1)
    if values.shape[1] > 3:
        fits &= (values[:, 3] >= 0) & (values[:, 3] <= _BRIGHTEST_RAW)
    return len(values) > 0 and bool(fits.mean() >= 1 - _IMPLAUSIBLE)


def _roughness(values: Float[np.ndarray, "n columns"]) -> float:
    """Median step from point to point, which is small in a scan and large if the columns are wrong."""
    with np.errstate(all="ignore"):
        steps = np.abs(np.diff(values[:, :3].astype(np.float64), axis=0)).sum(axis=1)
        return float(np.median(np.nan_to_num(steps, nan=np.inf))) if len(steps) else np.inf
