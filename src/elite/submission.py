"""The zip that the SemanticKITTI server takes: written, and checked by its rules.

The name ends in .zip; explicit directory entries for sequences/, sequences/11/ .. sequences/21/ and their
predictions/; one uint32 label per point for every scan of the test split; optionally description.txt.
A local copy that lacks scans makes a zip that looks right and is refused, so the known counts are checked too.
"""

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elite.datasets.formats import read_labels
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
    """What a checked zip holds. ``short`` tells why the server would refuse it for lack of scans (empty = complete)."""

    path: Path
    scans: int
    points: int
    short: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return not self.short


def write_submission(predictions: Path, data: Path, out: Path, *, partial: bool = False) -> SubmissionReport:
    """Zip the predictions of the test split and check the result.

    Raises:
        DataError: a prediction is missing, of the wrong length or with unknown ids; or ``data`` lacks scans of the
            test split and ``partial`` is not set.
        OutputError: ``out`` is not named .zip or cannot be written.
    """
    if out.suffix != ".zip":
        raise OutputError(f"{out} must end in .zip, or the server refuses it; rename the output.")
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
    return check_submission(out, data, partial=partial)


def check_submission(path: Path, data: Path, *, partial: bool = False) -> SubmissionReport:
    """Check a zip against the scans in ``data`` and against the known scan counts.

    Raises:
        DataError: the server would refuse it; the message names the first fault and counts the others.
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
        raise DataError(f"{path} is not a readable zip ({error}); write it again with 'elite submit'.") from error
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise DataError(f"{path}: {faults[0]}{more}; write it again with 'elite submit'.")
    short = _missing_scans(dataset)
    _require_complete(short, partial)
    return SubmissionReport(path, len(expected), sum(expected.values()), short)


def _zip_faults(path: Path, archive: zipfile.ZipFile, expected: dict[str, int]) -> Iterable[str]:
    if path.suffix != ".zip":
        yield "the name does not end in .zip"
    names = archive.namelist()
    present = set(names)
    if len(names) != len(present):
        yield "some files are in it twice"
    for name in _directories():
        if name not in present:
            yield f"no directory entry '{name}'"
    for name, points in expected.items():
        if name not in present:
            yield f"'{name}' is missing"
            continue
        yield from _member_faults(archive, name, points)
    for name in sorted(present - set(_directories()) - set(expected) - {"description.txt"}):
        yield f"'{name}' has no scan in the data and does not belong there"


def _member_faults(archive: zipfile.ZipFile, name: str, points: int) -> Iterable[str]:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield f"'{name}' is packed by method {info.compress_type}, expected stored or deflated"
        return
    size = info.file_size
    if size != points * _LABEL_BYTES:  # told from the header, so that a false one cannot make us unpack too much
        yield f"'{name}' has {size / _LABEL_BYTES:g} labels, expected {points}"
        return
    with archive.open(name) as member:
        labels = np.frombuffer(member.read(size), "<u4")  # no more than that, whatever else is packed there
    unknown = unknown_raw_ids(labels & 0xFFFF)
    if unknown:
        yield f"'{name}' holds unknown label ids {unknown[:5]}"


def _check_prediction(path: Path, scan: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} is missing; predict every scan of the test split first ('elite predict').")
    raw, _ = read_labels(path, scan, scan.stat().st_size // _POINT_BYTES)
    unknown = unknown_raw_ids(raw)
    if unknown:
        raise DataError(
            f"{path} holds unknown label ids {unknown[:5]}, expected SemanticKITTI raw ids; predict it again."
        )


def _missing_scans(dataset: SemanticKITTI) -> tuple[str, ...]:
    """Sequences whose scans are not as many as the test split is known to have."""
    found = dict.fromkeys(SPLITS["test"], 0)
    for sequence, _ in dataset.ids:
        found[sequence] += 1
    return tuple(
        f"sequence {sequence} has {found[sequence]} of {count} scans"
        for sequence, count in TEST_SCANS.items()
        if found[sequence] != count
    )


def _require_complete(short: tuple[str, ...], partial: bool) -> None:
    if short and not partial:
        raise DataError(
            f"the local copy of the test split is not complete: {short[0]}"
            f"{f' (and {len(short) - 1} more sequences)' if len(short) > 1 else ''}; the server would refuse the zip. "
            "Download the rest, or give --partial for a trial."
        )


def _directories() -> list[str]:
    return ["sequences/", *(f"sequences/{s}/{tail}" for s in SPLITS["test"] for tail in ("", "predictions/"))]


def _member(sequence: str, name: str) -> str:
    return f"sequences/{sequence}/predictions/{name}.label"


def _entry(name: str) -> zipfile.ZipInfo:
    """Same bytes for the same predictions: no clock in the archive."""
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.external_attr = (0o755 << 16 | 0x10) if name.endswith("/") else 0o644 << 16
    return entry
