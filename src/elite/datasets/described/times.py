"""Times of scans and images, and their pairs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from elite.datasets.calibration import decode_text
from elite.datasets.formats import read_part
from elite.errors import DataError
from elite.files import TEXT_BYTES

_NANOSECONDS = 1e-9
_NUMBER = re.compile(r"\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)
_SHORTEST_NANOSECONDS = 13  # digits: shorter whole numbers are seconds
_ROUNDING = 1e-6  # seconds; numbers of seconds since 1970 are multiples of 2e-7
_SHORTEST_STEP = 1e-3  # seconds between the files of a sensor


def read_times(text: str, folder: Path, names: Sequence[str]) -> dict[str, float]:
    """Read the time in seconds of each of the ``names`` of a sequence.

    Args:
        text: ``name``, or a file in the folder, as in ``ScanSettings.times``.
        folder: of the sequence.
        names: of its scans or images, in order.

    Returns:
        Times by name; names that the file lacks are absent.

    Raises:
        DataError: a time is missing or not a number, or the times have another unit.
    """
    if not names:
        return {}
    if text == "name":
        times = {name: _time_of_name(name, folder) for name in names}
    else:
        times = _times_of_file(folder / text, names)
    _require_seconds([*times.values()], folder / text if text != "name" else folder)
    return times


def _require_seconds(times: Sequence[float], source: Path) -> None:
    """Refuse microseconds and milliseconds since 1970, which have as many digits as nanoseconds of other clocks."""
    if len(times) > 1 and (step := float(np.median(np.diff(np.sort(times))))) < _SHORTEST_STEP:
        raise DataError(
            f"{source}: expected times of successive files at least {_SHORTEST_STEP:g} s apart, found {step:.2g} s. "
            "Convert microseconds and milliseconds to seconds."
        )


def _times_of_file(path: Path, names: Sequence[str]) -> dict[str, float]:
    lines = decode_text(read_part(path, "times", TEXT_BYTES), path).splitlines()
    rows = [(i, re.split(r"[,;\s]+", line.strip())) for i, line in enumerate(lines, 1) if line.strip()]
    if rows and not _NUMBER.fullmatch(rows[0][1][-1]):
        rows = rows[1:]  # names of the columns
    times = [_number(row[-1], f"{path}, line {i}") for i, row in rows]
    if all(len(row) == 1 for _, row in rows):
        if len(times) != len(names):
            raise DataError(
                f"{path}: expected {len(names)} times, one for each file, found {len(times)}. Extract all files, or "
                "write lines NAME,SECONDS."
            )
        return dict(zip(names, times, strict=True))
    stems = (Path(row[0]).stem if Path(row[0]).suffix and not _NUMBER.fullmatch(row[0]) else row[0] for _, row in rows)
    return dict(zip(stems, times, strict=True))


def _time_of_name(name: str, folder: Path) -> float:
    if not _NUMBER.fullmatch(name):
        raise DataError(
            f"{folder}: expected files named by their times, such as 1581624663.149 or 1581624663149000000, found "
            f"'{name}'. Give a file of times."
        )
    return _number(name, str(folder))


def _number(text: str, source: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise DataError(f"{source}: expected a time in seconds or nanoseconds, found '{text:.60}'. Correct the file.")
    is_nanoseconds = text.isdecimal() and len(text) >= _SHORTEST_NANOSECONDS
    return float(text) * (_NANOSECONDS if is_nanoseconds else 1)


def nearest_in_time(
    scans: Mapping[str, float], images: Mapping[str, float], tolerance: float
) -> dict[str, tuple[str, float]]:
    """Pair each scan with the image that is nearest in time.

    Args:
        scans, images: times in seconds by name.
        tolerance: largest difference, in seconds.

    Returns:
        Name and time of the image by name of the scan; scans without an image within ``tolerance`` are absent.
    """
    if not images:
        return {}
    names = sorted(images, key=images.__getitem__)
    times = np.array([images[name] for name in names])
    pairs = {}
    for scan, time in scans.items():
        after = int(np.searchsorted(times, time))
        best = min((k for k in (after - 1, after) if 0 <= k < len(times)), key=lambda k: abs(times[k] - time))
        if abs(times[best] - time) <= tolerance + _ROUNDING:
            pairs[scan] = names[best], float(times[best])
    return pairs
