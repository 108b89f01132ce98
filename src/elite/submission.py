"""Zip file for the SemanticKITTI server, and a check of it by the server's rules.

The name ends in .zip. The archive has explicit directory entries for sequences/, sequences/11/ .. sequences/21/ and
their predictions/, one uint32 label per point for each scan of the test split, and optionally description.txt. The
server also refuses archives without all scans, so the known counts are checked.
"""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from elite.datasets.formats import read_labels
from elite.datasets.frame_files import file_names
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError, OutputError
from elite.files import SCAN_BYTES, atomic_file, open_regular, read_file
from elite.labels import unknown_raw_ids
from elite.layout import SPLITS, Layout

TEST_SCANS = {
    "11": 921,
    "12": 1061,
    "13": 3281,
    "14": 631,
    "15": 1901,
    "16": 1731,
    "17": 491,
    "18": 1801,
    "19": 4981,
    "20": 831,
    "21": 2721,
}
_POINT_BYTES, _LABEL_BYTES = 16, 4


@dataclass(frozen=True)
class SubmissionReport:
    """Contents of a checked zip.

    Attributes:
        missing: sequences with missing scans (empty = complete).
        unused: present data that is not in the zip, one line for each kind.
    """

    path: Path
    scans: int
    points: int
    missing: tuple[str, ...]
    unused: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.missing


def write_submission(predictions: Path, data: Path, out: Path, *, partial: bool = False) -> SubmissionReport:
    """Zip the predictions of the test split and check the result.

    Raises:
        DataError: a prediction is missing, of the wrong length or with unknown ids; or ``data`` lacks scans of the
            test split and ``partial`` is not set.
        OutputError: ``out`` is not named .zip or cannot be written.
    """
    if out.suffix != ".zip":
        raise OutputError(f"{out}: expected a name that ends in .zip, which the server requires. Rename the output.")
    dataset = SemanticKITTI(data, "test", cameras=())
    _require_complete(_missing_scans(dataset), partial)
    layout = Layout(predictions)
    for i, frame_id in enumerate(dataset.ids):
        _check_prediction(layout.prediction(*frame_id), dataset.scan_path(i))
    with (
        atomic_file(out) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
    ):
        for name in _directories():
            archive.writestr(_entry(name), b"")
        for frame_id in dataset.ids:
            labels = read_file(layout.prediction(*frame_id), SCAN_BYTES)
            archive.writestr(_entry(_member(*frame_id)), labels, zipfile.ZIP_DEFLATED)
    report = check_submission(out, data, partial=partial)
    return replace(report, unused=(*report.unused, *_unused_predictions(layout, dataset)))


def check_submission(path: Path, data: Path, *, partial: bool = False) -> SubmissionReport:
    """Check a zip against the scans in ``data`` and against the known scan counts.

    Raises:
        DataError: the server would refuse it. The message describes the first fault and counts the others.
    """
    dataset = SemanticKITTI(data, "test", cameras=())
    expected = {
        _member(*frame_id): dataset.scan_path(i).stat().st_size // _POINT_BYTES
        for i, frame_id in enumerate(dataset.ids)
    }
    try:
        with open_regular(path, None) as file, zipfile.ZipFile(file) as archive:
            faults = list(_zip_faults(path, archive, expected))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: expected a zip file, found {error}. Write it again with 'elite submit'.") from error
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise DataError(f"{path}: {faults[0]}{more}. Write it again with 'elite submit'.")
    missing = _missing_scans(dataset)
    _require_complete(missing, partial)
    return SubmissionReport(path, len(expected), sum(expected.values()), missing, tuple(dataset.unused))


def _zip_faults(path: Path, archive: zipfile.ZipFile, expected: dict[str, int]) -> Iterable[str]:
    if path.suffix != ".zip":
        yield "expected a name that ends in .zip"
    names = archive.namelist()
    present = set(names)
    if len(names) != len(present):
        yield "expected unique names, found duplicates"
    for name in _directories():
        if name not in present:
            yield f"expected a directory entry '{name}', found none"
    for name, points in expected.items():
        if name not in present:
            yield f"expected '{name}', found no such entry"
            continue
        yield from _member_faults(archive, name, points)
    for name in sorted(present - set(_directories()) - set(expected) - {"description.txt"}):
        yield f"expected predictions of scans only, found '{name}', which has no scan in the data"


def _member_faults(archive: zipfile.ZipFile, name: str, points: int) -> Iterable[str]:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield f"'{name}': expected a stored or deflated entry, found compression method {info.compress_type}"
        return
    size = info.file_size
    if size != points * _LABEL_BYTES:  # by the header, before anything is unpacked
        yield f"'{name}': expected {points} labels, found {size / _LABEL_BYTES:g}"
        return
    with archive.open(name) as member:
        labels = np.frombuffer(member.read(size), "<u4")  # not more, even if the header is false
    unknown = unknown_raw_ids(labels & 0xFFFF)
    if unknown:
        yield f"'{name}': expected raw label ids of SemanticKITTI, found {unknown[:5]}"


def _check_prediction(path: Path, scan: Path) -> None:
    if not path.exists():
        raise DataError(
            f"{path}: expected a prediction for each scan of the test split, found none. Run 'elite predict'."
        )
    raw, _ = read_labels(path, scan, scan.stat().st_size // _POINT_BYTES)
    unknown = unknown_raw_ids(raw)
    if unknown:
        raise DataError(
            f"{path}: expected raw label ids of SemanticKITTI, found {unknown[:5]}. Predict the scan again."
        )


def _missing_scans(dataset: SemanticKITTI) -> tuple[str, ...]:
    """Sequences with another number of scans than the test split has."""
    found = dict.fromkeys(SPLITS["test"], 0)
    for sequence, _ in dataset.ids:
        found[sequence] += 1
    return tuple(
        f"sequence {sequence} has {found[sequence]} of {count} scans"
        for sequence, count in TEST_SCANS.items()
        if found[sequence] != count
    )


def _unused_predictions(predictions: Layout, dataset: SemanticKITTI) -> Iterator[str]:
    """Describe predictions of other sequences, and of scans that the data set lacks."""
    present = predictions.sequences_with("predictions")
    if others := [sequence for sequence in present if sequence not in dataset.sequences]:
        yield f"{predictions.root}: predictions of the sequences {', '.join(others)} are not in the zip"
    scans = {(sequence, f"{name}.label") for sequence, name in dataset.ids}
    for sequence in (sequence for sequence in present if sequence in dataset.sequences):
        folder = predictions.prediction(sequence, "0").parent
        names = sorted(name for name in file_names(folder) if name.endswith(".label"))
        if without_scan := [name for name in names if (sequence, name) not in scans]:
            yield f"{folder}: {len(without_scan)} predictions have no scan ({without_scan[0]}, ...)"


def _require_complete(missing: tuple[str, ...], partial: bool) -> None:
    if len(missing) > 0 and not partial:
        more = f" (and {len(missing) - 1} more sequences)" if len(missing) > 1 else ""
        raise DataError(
            f"test split: expected all its scans, which the server requires, but {missing[0]}{more}. Download the "
            "rest, or use --partial for a trial."
        )


def _directories() -> list[str]:
    return ["sequences/", *(f"sequences/{s}/{tail}" for s in SPLITS["test"] for tail in ("", "predictions/"))]


def _member(sequence: str, name: str) -> str:
    return f"sequences/{sequence}/predictions/{name}.label"


def _entry(name: str) -> zipfile.ZipInfo:
    """Entry with a fixed time, so that equal predictions give equal bytes."""
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.external_attr = (0o755 << 16 | 0x10) if name.endswith("/") else 0o644 << 16
    return entry
