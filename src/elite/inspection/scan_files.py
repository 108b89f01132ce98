"""Inspection of files of points without a description."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from elite.datasets.check.sampled_scans import SampledScan, sampled_scan
from elite.datasets.check.sensor_guess import guess_sensor
from elite.datasets.check.survey import evenly_spaced
from elite.datasets.formats import read_part
from elite.datasets.scan_encoding import find_other_encoding, usual_columns
from elite.errors import DataError
from elite.files import SCAN_BYTES
from elite.inspection.layouts import fields_of_file, layout_of
from elite.inspection.records import CloudReport, Report
from elite.inspection.sampling import MOST_POINTS
from elite.point_files import PointFields, decode_points
from elite.recordings.point_times import point_times
from elite.sensor import SensorSpec

_SCANS = 10
_USUAL = SensorSpec("usual")  # float32 x y z remission
_COUNTS = (4, 3, 5, 6, 7, 8)  # of columns, in the order of trial
_RINGS = 256
_CLASSES = "semantickitti"
Progress = Callable[[Iterable[Path], int], Iterable[Path]]


def inspect_files(
    path: Path,
    files: Sequence[Path],
    *,
    sensor: SensorSpec | None = None,
    progress: Progress = lambda items, total: items,
) -> tuple[Report, list[SampledScan]]:
    """Inspect ten evenly spaced files of points. Damaged ones are skipped and reported.

    Args:
        path: the file or the folder.
        files: of one format, in order.
        sensor: what is known of the LiDAR; its columns are those of files without names.
        progress: is given the files to read and their number, and yields them.

    Returns:
        The report, and the readable scans.

    Raises:
        DataError: no file is readable.
    """
    chosen = [files[i] for i in evenly_spaced(len(files), _SCANS)]
    read = _FilesRead(None if sensor is None else sensor.field_names)
    for file in progress(chosen, len(chosen)):
        read.add(file)
    if not read.scans:
        raise DataError(read.faults[0])
    cloud = _cloud_report(files, read, sensor)
    folder = path if path.is_dir() else path.parent
    return Report(
        path=path,
        kind="scans",
        bytes=sum(file.stat().st_size for file in files),
        clouds=(cloud,),
        faults=tuple(read.faults),
        description={
            "sequences": ["."],
            "scans": {"glob": f"*{files[0].suffix}"},
            "names": _CLASSES,
            "sensor": cloud.sensor.settings if cloud.sensor else {},
        },
        next_command=shlex.join(("elite", "check", str(folder))),
    ), read.scans


@dataclass
class _FilesRead:
    """Files that were read.

    Attributes:
        columns: names of the numbers of a point in files without names; None = those of the first file.
        first: fields of the first readable file.
        scans: their points.
        layouts: names of their fields.
        faults: reasons of those that are not readable.
    """

    columns: tuple[str, ...] | None
    first: PointFields | None = None
    scans: list[SampledScan] = field(default_factory=list)
    layouts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        if sum(map(len, self.scans)) > MOST_POINTS:
            return
        try:
            data = read_part(path, "points", SCAN_BYTES, remedy="Check the path.")
            self.columns = self.columns or _columns_of(data, path)
            fields = decode_points(data, path, self.columns)
            self.scans.append(sampled_scan(fields, path))
        except DataError as error:
            self.faults.append(str(error))
            return
        self.first = self.first or fields
        self.layouts.append(" ".join(fields.values))


def _columns_of(data: bytes, path: Path) -> tuple[str, ...]:
    """Names of the numbers of a point, if the file has none: those of its encoding, by its numbers.

    Raises:
        DataError: numbers of another type than float32.
    """
    kind = path.suffix.lower()
    if kind == ".bin":
        return _columns_of_bin(data, path)
    for count in _COUNTS if kind in (".npy", ".npz") else ():
        try:
            decode_points(data, path, usual_columns(count))
        except DataError:
            continue
        return usual_columns(count)
    return _USUAL.columns


def _columns_of_bin(data: bytes, path: Path) -> tuple[str, ...]:
    other = find_other_encoding(data, _USUAL)
    if other is None:
        return _USUAL.columns
    if other.columns is None:
        raise DataError(f"{path}: expected float32 numbers, found {other.description}. {other.remedy(_USUAL)}")
    names = usual_columns(other.columns)
    if "ring" in names:
        rings = np.frombuffer(data, "<f4").reshape(-1, len(names))[:, names.index("ring")]
        if not ((rings >= 0) & (rings < _RINGS) & (rings == np.round(rings))).all():
            return (*names[:4], *(f"column{i + 1}" for i in range(4, len(names))))
    return names


def _cloud_report(files: Sequence[Path], read: _FilesRead, sensor: SensorSpec | None) -> CloudReport:
    assert read.first is not None
    first, names = read.first, tuple(read.first.values)
    is_named = files[0].suffix.lower() != ".bin" and names != read.columns
    guess = guess_sensor(read.scans, stated=sensor, columns=None if is_named else names)
    rows, columns = first.shape if len(first.shape) == 2 else (1, len(first))
    return CloudReport(
        topic=None,
        count=len(files),
        read=len(read.scans),
        damaged=len(read.faults),
        frame=None,
        fields=fields_of_file(first),
        layout=layout_of(names),
        height=rows,
        width=columns,
        point_step=None,
        big_endian=None,
        is_dense=None,
        bytes=files[0].stat().st_size,
        timing=None,
        point_times=point_times(first, 0),
        sensor=guess,
        notes=(*_notes(read, names, is_guessed=not is_named and sensor is None), *guess.notes),
    )


def _notes(read: _FilesRead, names: tuple[str, ...], *, is_guessed: bool) -> Iterator[str]:
    if is_guessed:
        yield (
            f"expected names of the columns, found none in the files. They are taken as {' '.join(names)}, by their "
            "numbers: give --sensor FILE for others."
        )
    if read.faults:
        yield f"expected readable files, found {len(read.faults)} damaged ones, which are skipped: {read.faults[0]}"
    if len(layouts := dict.fromkeys(read.layouts)) > 1:
        found = " and ".join(f"({layout})" for layout in [*layouts][:2])
        yield f"expected files of the same fields, found {found}. Inspect them one by one."
