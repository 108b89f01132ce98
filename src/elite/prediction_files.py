"""Label scan files into files of raw labels."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from elite.datasets import Dataset
from elite.datasets.scan_files import count_points, read_scan
from elite.errors import DataError, EliteError, is_out_of_memory
from elite.files import write_bytes
from elite.inference import Segmenter
from elite.layout import Layout
from elite.prediction_formats import PredictionFormat, encode_prediction, is_complete
from elite.segmentation_result import SegmentationResult
from elite.sensor import SensorSpec
from elite.types import Scan

_SCANS_AT_ONCE = 4  # each requires memory


@dataclass(frozen=True)
class PredictionJob:
    """A scan file and the file of its labels.

    Attributes:
        labels: its suffix decides on the contents; see ``elite.prediction_formats``.
        read, count: read the scan, and count its points from the size of its file; both raise DataError.
        sensor: LiDAR of the scan.
        confidence: file of the confidences; None = they are not written.
    """

    scan: Path
    labels: Path
    read: Callable[[], Scan]
    count: Callable[[], int]
    sensor: SensorSpec
    confidence: Path | None = None

    def is_done(self) -> bool:
        """Whether every output exists, with an answer for each point of the scan."""
        outputs = [self.labels, *([self.confidence] if self.confidence else [])]
        try:
            return all(path.exists() and is_complete(path, self.scan, self.count()) for path in outputs)
        except (OSError, DataError):
            return False


def dataset_jobs(dataset: Dataset, out: Path) -> list[PredictionJob]:
    """Jobs for all scans of a data set, with labels in ``out`` (see ``elite.layout``)."""
    layout = Layout(out)
    return [
        PredictionJob(
            dataset.scan_path(i),
            layout.prediction(*dataset.ids[i]),
            partial(dataset.scan_with_past, i),
            partial(dataset.count_points, i),
            dataset.sensor,
        )
        for i in range(len(dataset))
    ]


def file_job(scan: Path, out: Path, sensor: SensorSpec, format: PredictionFormat = "label") -> PredictionJob:
    """Job for a scan file of a sensor, with labels in ``out``/NAME.label for NAME.bin, NAME.pcd, NAME.pcd.bin ..."""
    labels = out / f"{scan.stem.removesuffix('.pcd')}.{format}"
    return PredictionJob(scan, labels, partial(read_scan, scan, sensor), partial(count_points, scan, sensor), sensor)


def require_own_outputs(jobs: Iterable[PredictionJob]) -> None:
    """Check that no two scans have the same file of labels.

    Raises:
        DataError: two have it; the message names them.
    """
    owners: dict[Path, Path] = {}
    for job in jobs:
        if (owner := owners.setdefault(job.labels, job.scan)) != job.scan:
            raise same_output(job, owner)


def same_output(job: PredictionJob, owner: Path) -> DataError:
    """The fault of a scan whose file of labels is that of the scan ``owner``."""
    return DataError(
        f"{job.scan}: expected labels in a file of its own, found that {job.labels} is also that of {owner}. Rename "
        "one of the two scans, or write their labels to different folders."
    )


@dataclass
class PredictionSummary:
    """Number of scans by outcome, and number of their points: in all, outside the student's volume, without a label.

    ``past_skipped`` is the number of past scans that could not be read.
    """

    written: int = 0
    failed: int = 0
    points: int = 0
    outside: int = 0
    unfilled: int = 0
    past_skipped: int = 0

    def add(self, result: SegmentationResult) -> None:
        """Count a scan that has been labelled."""
        self.written += 1
        self.points += len(result.labels)
        self.outside += result.outside
        self.unfilled += result.unfilled

    def outside_summary(self) -> str:
        """Line for the user with the share of points outside the volume, and the number of those without a label."""
        share = self.outside / max(self.points, 1)
        line = (
            f"{self.outside:,} of {self.points:,} points ({share:.1%}) are outside the student's volume and have the "
            "label of their nearest neighbour inside"
        )
        return f"{line}, except {self.unfilled:,} beyond the fill radius" if self.unfilled else line


def predict_files(
    segmenter: Segmenter, jobs: Iterable[PredictionJob], failed: Callable[[PredictionJob, EliteError], None]
) -> PredictionSummary:
    """Label scan files into prediction files, each written atomically.

    Args:
        failed: called with each scan that is damaged or does not fit in memory; the others are still labelled.
    """
    summary = PredictionSummary()
    for job in jobs:
        try:
            result = segmenter.segment(scan := job.read(), job.scan)
            labels = encode_prediction(job.labels.suffix, result, scan, job.scan, job.sensor, segmenter.taxonomy)
        except (DataError, MemoryError, RuntimeError) as error:
            failed(job, failure_of(job.scan, error))
            summary.failed += 1
            continue
        if job.confidence is not None:
            write_bytes(job.confidence, scan.spread(result.confidence).astype("<f4").tobytes())
        write_bytes(job.labels, labels)
        summary.add(result)
        summary.past_skipped += len(scan.past.faults) if scan.past else 0
    return summary


def failure_of(scan: object, error: Exception) -> DataError:
    """The failure of one scan as an error that names it; other errors are raised again."""
    if isinstance(error, DataError):
        return with_name(error, scan)
    if is_out_of_memory(error):
        return DataError(f"{scan}: expected a scan that fits in memory, found too little memory. Split the scan.")
    raise error


def with_name(error: DataError, scan: object) -> DataError:
    """The error with the scan's name in its message."""
    return error if str(scan) in str(error) else DataError(f"{scan}: {error}")


@contextmanager
def label_threads(segmenter: Segmenter) -> Iterator[tuple[Executor, int]]:
    """Threads that call ``segmenter`` at once, and their number; they share the processors of the current thread.

    One scan per processor is faster than all processors on one scan, some steps of which use one. Backends other than
    native get one thread, since they need more memory.
    """
    processors = segmenter.threads
    count = 1 if segmenter.engine is None else min(processors, _SCANS_AT_ONCE)
    try:
        with ThreadPoolExecutor(count, initializer=segmenter.use_threads, initargs=(processors // count,)) as threads:
            yield threads, count
    finally:
        segmenter.use_threads(processors)  # also that of threads that start later
