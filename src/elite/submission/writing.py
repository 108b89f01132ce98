"""Writing and checking of submissions to any benchmark."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.listing import file_names
from elite.datasets.opening import recognise_format
from elite.errors import ConfigError, DataError, OutputError, first_line
from elite.files import SCAN_BYTES, atomic_file, open_regular, read_file
from elite.formatting import sequence_list
from elite.label_records import recorded_classes, require_predicted_classes
from elite.layout import Layout
from elite.submission.benchmark import LIDAR_ONLY, Benchmark
from elite.submission.nuscenes import NuScenesLidarseg
from elite.submission.semantickitti import SemanticKITTISegmentation
from elite.taxonomy import Taxonomy

BENCHMARKS: Mapping[str, Benchmark] = {"semantickitti": SemanticKITTISegmentation(), "nuscenes": NuScenesLidarseg()}


@dataclass(frozen=True)
class SubmissionReport:
    """Contents of a checked zip.

    Attributes:
        missing: scans of the split that the data set lacks (empty = complete).
        unused: present data that is not in the zip, one line for each kind.
        classes: name of the taxonomy of the predictions that were written.
    """

    path: Path
    scans: int
    points: int
    missing: tuple[str, ...]
    unused: tuple[str, ...] = ()
    classes: str = field(default="", compare=False)

    @property
    def accepted(self) -> bool:
        return not self.missing


def benchmark_of(data: Path, format: str | None = None) -> Benchmark:
    """Return the benchmark of a data set by its format (None = recognised by its files).

    Raises:
        DataError: the format is not recognised.
        ConfigError: it has no benchmark.
    """
    name = format or recognise_format(data)
    if name not in BENCHMARKS:
        raise ConfigError(
            f"{data}: expected a data set of a benchmark with submissions, {' or '.join(BENCHMARKS)}, found the format "
            f"{name}. Score its predictions with 'elite evaluate'."
        )
    return BENCHMARKS[name]


def write_submission(
    predictions: Path,
    data: Path,
    out: Path,
    *,
    format: str | None = None,
    split: str | None = None,
    inputs: Sequence[str] = LIDAR_ONLY,
    partial: bool = False,
) -> SubmissionReport:
    """Zip the predictions of a split and check the result.

    Args:
        predictions: folder that ``elite predict`` wrote.
        data: data set with the scans of the split.
        out: zip file.
        format: of the data set; None = recognised by its files.
        split: None = the one that the server scores.
        inputs: what the network uses of a frame, for benchmarks whose submissions state it.
        partial: accept a data set that lacks scans of the split.

    Raises:
        DataError: a prediction is missing, of the wrong length or with ids that the server refuses; or ``data`` lacks
            scans and ``partial`` is not set.
        ConfigError: an unknown split or input, a data set without a benchmark, or predictions of other classes.
        OutputError: ``out`` is not named .zip or cannot be written.
    """
    if out.suffix != ".zip":
        raise OutputError(f"{out}: expected a name that ends in .zip, which the server requires. Rename the output.")
    benchmark = benchmark_of(data, format)
    split = _known_split(benchmark, split)
    statements = benchmark.statements(split, inputs)
    dataset, layout = benchmark.open(data, split), Layout(predictions)
    taxonomy = _predicted_taxonomy(predictions, benchmark)
    _require_complete(benchmark.missing(dataset, split), split, partial)
    with (
        atomic_file(out) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
    ):
        for name in benchmark.folders:
            archive.writestr(_entry(name), b"")
        for name, content in [*statements.items(), *_members(benchmark, dataset, split, layout)]:
            archive.writestr(_entry(name), content, zipfile.ZIP_DEFLATED)
    report = check_submission(out, data, format=format, split=split, partial=partial)
    unused = (*report.unused, *_unused_predictions(layout, dataset))
    return replace(report, unused=unused, classes=taxonomy.name)


def check_submission(
    path: Path, data: Path, *, format: str | None = None, split: str | None = None, partial: bool = False
) -> SubmissionReport:
    """Check a zip against the scans in ``data``, and against the known size of the split.

    Raises:
        DataError: the server would refuse it. The message describes the first fault and counts the others.
        ConfigError: an unknown split, or a data set without a benchmark.
    """
    benchmark = benchmark_of(data, format)
    split = _known_split(benchmark, split)
    dataset = benchmark.open(data, split)
    expected = {benchmark.member(dataset.ids[i], split): _count_points(dataset, i) for i in range(len(dataset))}
    try:
        with open_regular(path, None) as file, zipfile.ZipFile(file) as archive:
            faults = list(_zip_faults(benchmark, path, archive, split, expected))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{path}: expected a zip file, found {first_line(error)}. Write it again with 'elite submit'."
        ) from error
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise DataError(f"{path}: {faults[0]}{more}. Write it again with 'elite submit'.")
    missing = benchmark.missing(dataset, split)
    _require_complete(missing, split, partial)
    return SubmissionReport(path, len(expected), sum(expected.values()), missing, tuple(dataset.unused))


def _predicted_taxonomy(predictions: Path, benchmark: Benchmark) -> Taxonomy:
    """Classes of predictions by their record: those of the benchmark, by default its first ones.

    Raises:
        ConfigError: they are of others.
    """
    found = recorded_classes(predictions)
    for taxonomy in benchmark.taxonomies:
        if found is not None and found.matches(taxonomy):
            return taxonomy
    require_predicted_classes(predictions, benchmark.taxonomies[0])
    return benchmark.taxonomies[0]


def _known_split(benchmark: Benchmark, split: str | None) -> str:
    if split is not None and split not in benchmark.splits:
        raise ConfigError(f"split: expected {', '.join(benchmark.splits)} ({benchmark.name}), found '{split}'.")
    return split or benchmark.splits[0]


def _members(benchmark: Benchmark, dataset: Dataset, split: str, predictions: Layout) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the predictions."""
    for i, frame_id in enumerate(dataset.ids):
        path = predictions.prediction(*frame_id)
        content = benchmark.encode(_read_words(path, _count_points(dataset, i), split), path)
        if fault := benchmark.label_fault(content):
            raise DataError(f"{path}: {fault}. Predict the scan again.")
        yield benchmark.member(frame_id, split), content


def _read_words(path: Path, points: int, split: str) -> np.ndarray:
    try:
        data = read_file(path, SCAN_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: expected a prediction for each scan of the {split} split, found {error.strerror}. Run 'elite "
            "predict'."
        ) from error
    if len(data) != 4 * points:
        raise DataError(
            f"{path}: expected {points} labels, one for each point of the scan, found {len(data) / 4:g}. Predict the "
            "scan again."
        )
    return np.frombuffer(data, "<u4")


def _zip_faults(
    benchmark: Benchmark, path: Path, archive: zipfile.ZipFile, split: str, expected: dict[str, int]
) -> Iterable[str]:
    if path.suffix != ".zip":
        yield "expected a name that ends in .zip"
    names = archive.namelist()
    present, statements = set(names), benchmark.statements(split, LIDAR_ONLY)
    if len(names) != len(present):
        yield "expected unique names, found duplicates"
    for name in benchmark.folders:
        if name not in present:
            yield f"expected a directory entry '{name}', found none"
    elsewhere = {PurePosixPath(name).name: name for name in names}
    for name in [*statements, *expected]:
        if name not in present:
            other = elsewhere.get(PurePosixPath(name).name)
            at = f", but '{other}': zip the content of the folder, not the folder" if other else ""
            yield f"expected '{name}', found no such entry{at}"
        elif name in expected:
            yield from _member_faults(benchmark, archive, name, expected[name])
    yield from benchmark.statement_faults(archive, split)
    allowed = {*expected, *statements, *benchmark.folders, *benchmark.optional}
    allowed |= {f"{parent}/" for name in allowed for parent in PurePosixPath(name).parents}
    for name in sorted(present - allowed):
        yield f"expected predictions of scans only, found '{name}', which has no scan in the data"


def _member_faults(benchmark: Benchmark, archive: zipfile.ZipFile, name: str, points: int) -> Iterable[str]:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield f"'{name}': expected a stored or deflated entry, found compression method {info.compress_type}"
        return
    size = info.file_size
    if size != points * benchmark.label_bytes:  # by the header, before anything is unpacked
        yield f"'{name}': expected {points} labels, found {size / benchmark.label_bytes:g}"
        return
    with archive.open(name) as member:
        fault = benchmark.label_fault(member.read(size))  # not more, even if the header is false
    if fault:
        yield f"'{name}': {fault}"


def _count_points(dataset: Dataset, i: int) -> int:
    return dataset.scan_path(i).stat().st_size // (4 * len(dataset.sensor.columns))


def _unused_predictions(predictions: Layout, dataset: Dataset) -> Iterator[str]:
    """Describe predictions of other sequences, and of scans that the data set lacks."""
    present = predictions.sequences_with("predictions")
    if others := [sequence for sequence in present if sequence not in dataset.sequences]:
        yield f"{predictions.root}: predictions of the sequences {sequence_list(others)} are not in the zip"
    scans = {(sequence, f"{name}.label") for sequence, name in dataset.ids}
    for sequence in (sequence for sequence in present if sequence in dataset.sequences):
        folder = predictions.prediction(sequence, "0").parent
        names = sorted(name for name in file_names(folder) if name.endswith(".label"))
        if without_scan := [name for name in names if (sequence, name) not in scans]:
            yield f"{folder}: {len(without_scan)} predictions have no scan ({without_scan[0]}, ...)"


def _require_complete(missing: tuple[str, ...], split: str, partial: bool) -> None:
    if len(missing) > 0 and not partial:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(
            f"{split} split: expected all its scans, which the server requires, but {missing[0]}{more}. Download the "
            "rest, or use --partial for a trial."
        )


def _entry(name: str) -> zipfile.ZipInfo:
    """Entry with a fixed time, so that equal predictions give equal bytes."""
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.external_attr = (0o755 << 16 | 0x10) if name.endswith("/") else 0o644 << 16
    return entry
