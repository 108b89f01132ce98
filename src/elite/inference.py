"""One scan in, labels out. LiDAR only: no image, no calibration, no labels, and nothing but the core packages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from elite.datasets.formats import read_scan
from elite.datasets.input_guard import InputGuard, warn
from elite.device import pick_device
from elite.errors import CheckpointError, DataError, EliteError
from elite.files import write_bytes
from elite.geometry import in_volume, nearest
from elite.labels import NUM_CLASSES, to_raw
from elite.sparse import Backend, resolve_backend
from elite.student import SPVCNN, load_student
from elite.student.engine import Engine, Precision, ScanGeometry
from elite.types import Scan, SegmentationResult
from elite.votes import VoteBy, Votes

Answer = tuple[Float[Tensor, "k classes"], Int64[np.ndarray, "n"]]  # logits, and which of their rows is each point's

_TOGETHER = 4  # views in one batch on a GPU; on a CPU a batch takes longer than its scans one by one


@dataclass(frozen=True)
class Crop:
    """One scan, checked, and what the network sees of it."""

    all_points: Float32[np.ndarray, "n 3"]
    inside: Bool[np.ndarray, "n"]
    points: Float32[Tensor, "m 3"]
    remission: Float32[Tensor, "m"]


class Segmenter:
    """A trained student, ready for scans::

        segmenter = elite.Segmenter.load("best.ckpt")
        result = segmenter(points, remission)          # (N, 3) metres, (N,) -> labels (N,), confidence (N,)

    It may be called from several threads at once, and its memory does not grow with the number of calls.

    Args:
        student: put into eval mode, and moved to ``device``.
        backend: who computes: auto (native on a CPU), native, torch, spconv.
        precision: bf16 takes six tenths of the time where the processor multiplies it, and may change some labels.
        votes, vote_by, seed: views of each scan that are labelled, how their answers become one, and the seed of the
            turned ones (:class:`elite.votes.Votes`). Each view takes the time of a scan; 1 = the scan as it is.
        report: takes a message about the first scan that is probably not what the network expects (its remission,
            height, axes, points without a return), once per kind; by default a warning, DoubtfulInput.
        strict: raise a DataError for such scans instead.

    Raises:
        ConfigError: a backend or a precision that is not to be had here, or no vote.
    """

    def __init__(
        self,
        student: SPVCNN,
        device: str | torch.device = "cpu",
        *,
        backend: Backend = "auto",
        precision: Precision = "fp32",
        votes: int = 1,
        vote_by: VoteBy = "softmax",
        seed: int = 0,
        report: Callable[[str], None] = warn,
        strict: bool = False,
    ) -> None:
        self.votes = Votes(votes, vote_by, seed)
        self.guard = InputGuard(student.config.volume, report, strict=strict)
        self.device = torch.device(device)
        self.precision = precision
        self.student = student.to(self.device).eval()
        self.student.backend = resolve_backend(backend, self.device)
        self.engine = Engine(student, precision) if self.student.backend == "native" else None
        self.together = 1 if self.device.type == "cpu" else _TOGETHER

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        backend: Backend = "auto",
        precision: Precision = "fp32",
        votes: int = 1,
        vote_by: VoteBy = "softmax",
        seed: int = 0,
        report: Callable[[str], None] = warn,
        strict: bool = False,
    ) -> "Segmenter":
        """From a training checkpoint, an imported or an exported student.

        Raises:
            CheckpointError: the file is none of them, or damaged, or its student has other classes.
            ConfigError: ``device``, ``backend`` or ``precision`` is not to be had, or there is no vote.
        """
        student = load_student(Path(path))
        if student.config.classes != NUM_CLASSES:
            raise CheckpointError(
                f"{path} holds a student of {student.config.classes} classes, expected SemanticKITTI's {NUM_CLASSES} "
                "(with the ignored one); take a checkpoint trained on them."
            )
        return cls(
            student,
            pick_device(device),
            backend=backend,
            precision=precision,
            votes=votes,
            vote_by=vote_by,
            seed=seed,
            report=report,
            strict=strict,
        )

    @torch.inference_mode()
    def __call__(
        self, points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"], *, source: object = "the scan"
    ) -> SegmentationResult:
        """Label every point: those inside the volume by the network, the others as their nearest labelled neighbour.

        ``source`` names the scan in messages.

        Raises:
            DataError: arrays of another shape, NaN or infinite numbers, no point inside the volume, numbers so large
                that the network overflows, or (strict) a doubtful scan.
        """
        crop = self.crop(points, remission, source)
        each = (self.network(views, self.geometry(views)) for views in self.views(crop))
        return self.answer(crop, chain.from_iterable(each))

    @torch.inference_mode()
    def logits(
        self, points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n classes"]:
        """What the network says of every point before any vote; column 0, the ignored class, is never trained.

        Raises:
            DataError: as a call.
        """
        crop = self.crop(points, remission)
        [(logits, row)] = self.network([crop], self.geometry([crop]))
        inside = logits.float().cpu().numpy()[row]
        _check_finite(inside, crop)
        return inside[nearest(crop.all_points, crop.inside)]

    # The stages of a call, apart so that they can be timed (elite.latency).

    def crop(
        self, points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"], source: object = "the scan"
    ) -> Crop:
        """The points inside the volume, once all are checked."""
        points, remission = _checked(points, remission)
        self.guard.examine(Scan(points, remission), source)
        inside = in_volume(points, self.student.config.volume)
        if not inside.any():
            low, high = self.student.config.volume
            raise DataError(
                f"none of the {len(points)} points is in the volume {low} .. {high} m; expected metres in the sensor "
                "frame, x forward, z up."
            )
        seen = (array.compress(inside, axis=0) for array in (points, remission))  # four times as fast as array[inside]
        return Crop(points, inside, *map(torch.from_numpy, seen))

    def views(self, crop: Crop) -> Iterator[list[Crop]]:
        """What is labelled: the scan as it is and, if there are votes, turned and shifted; ``together`` at a time."""
        views = (replace(crop, points=torch.from_numpy(p)) for p in self.votes.views(crop.points.numpy()))
        while some := list(islice(views, self.together)):
            yield some

    def geometry(self, views: Sequence[Crop]) -> ScanGeometry | None:
        """The voxels and their neighbours; None without the native kernels, where the student finds them as it goes."""
        return None if self.engine is None else self.engine.prepare(views[0].points)

    def network(self, views: Sequence[Crop], prepared: ScanGeometry | None) -> list[Answer]:
        """What it says of each view, as one batch."""
        if self.engine is not None and prepared is not None:
            logits, point_group = self.engine.logits(views[0].points, views[0].remission, prepared)
            return [(logits, point_group.numpy())]
        points, remission = (torch.cat([getattr(view, name) for view in views]) for name in ("points", "remission"))
        lengths = [len(view.points) for view in views]
        scan = torch.arange(len(views)).repeat_interleave(torch.tensor(lengths))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.student(*(t.to(self.device) for t in (points, remission, scan))).logits
        return [(part, np.arange(len(part))) for part in logits.split(lengths)]

    def answer(self, crop: Crop, answers: Iterable[Answer]) -> SegmentationResult:
        """The best class of every point, inside the volume or not; ``answers`` are the network's, one for each view.

        Raises:
            DataError: the logits are not finite.
        """
        share, row = self.votes.mean(answers)
        confidence, label = (t.cpu().numpy()[row] for t in share.max(dim=1))
        _check_finite(confidence, crop)
        nearest_inside = nearest(crop.all_points, crop.inside)
        outside = len(crop.inside) - len(crop.points)
        return SegmentationResult((label + 1).astype(np.uint8)[nearest_inside], confidence[nearest_inside], outside)

    def segment(self, scan: Scan, source: object = "the scan") -> SegmentationResult:
        return self(scan.points, scan.remission, source=source)


def _checked(points: np.ndarray, remission: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.errstate(over="ignore"):  # numbers too large become infinite and are refused below
            points, remission = np.asarray(points, np.float32), np.asarray(remission, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected arrays of numbers, points (N, 3) and remission (N,); {error}.") from error
    if points.ndim != 2 or points.shape[1] != 3 or remission.shape != points.shape[:1]:
        raise DataError(
            f"expected points (N, 3) and remission (N,), found {points.shape} and {remission.shape}; "
            "split an (N, 4) scan into scan[:, :3] and scan[:, 3]."
        )
    if not (np.isfinite(points).all() and np.isfinite(remission).all()):
        raise DataError("the scan holds NaN or infinite numbers; remove those points first.")
    return np.ascontiguousarray(points), np.ascontiguousarray(remission)


def _check_finite(values: Float32[np.ndarray, "m *channels"], crop: Crop) -> None:
    """Check the network's output for the points inside the volume.

    Raises:
        DataError: NaN or infinite numbers: values of the scan overflowed in the network.
    """
    if not np.isfinite(values).all():
        low, high = crop.remission.min().item(), crop.remission.max().item()
        raise DataError(
            f"the network's output: expected finite numbers, found NaN or infinite ones; remission is between {low:g} "
            f"and {high:g}. Check the scan's fourth column (0 to 1 is usual) and its layout, then the checkpoint."
        )


@dataclass(frozen=True)
class Job:
    """A scan file and where its labels go; the confidence file is written only if named."""

    scan: Path
    labels: Path
    confidence: Path | None = None

    def done(self) -> bool:
        """Every output is there with 4 bytes per point (of 16 bytes)."""
        outputs = [self.labels, *([self.confidence] if self.confidence else [])]
        try:
            return all(path.stat().st_size * 4 == self.scan.stat().st_size for path in outputs)
        except OSError:
            return False


@dataclass
class PredictionSummary:
    """What became of some scans, and how many of their points were outside the student's volume."""

    written: int = 0
    failed: int = 0
    points: int = 0
    outside: int = 0

    def line(self) -> str:
        """The share of the points that the network did not label itself."""
        share = self.outside / max(self.points, 1)
        return (
            f"{self.outside:,} of {self.points:,} points ({share:.1%}) lie outside the student's volume and have the "
            "label of their nearest neighbour inside"
        )


def predict_files(
    segmenter: Segmenter, jobs: Iterable[Job], failed: Callable[[Job, EliteError], None]
) -> PredictionSummary:
    """Label scan files into raw-id label files; a scan that is damaged or too large is reported to ``failed``."""
    summary = PredictionSummary()
    for job in jobs:
        try:
            result = segmenter.segment(read_scan(job.scan), job.scan)
        except (DataError, MemoryError, RuntimeError) as error:
            failed(job, _failure(job.scan, error))
            summary.failed += 1
            continue
        if job.confidence is not None:
            write_bytes(job.confidence, result.confidence.astype("<f4").tobytes())
        write_bytes(job.labels, to_raw(result.labels).astype("<u4").tobytes())
        summary.written += 1
        summary.points += len(result.labels)
        summary.outside += result.outside
    return summary


def _failure(scan: Path, error: Exception) -> DataError:
    """The failure of one scan as an error that names it; any other error is raised again."""
    if isinstance(error, DataError):
        return naming(scan, error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        # On a CPU torch raises a plain RuntimeError.
        return DataError(f"{scan}: expected a scan that fits into memory, found too little. Split the scan.")
    raise error


def naming(scan: Path, error: DataError) -> DataError:
    """The error with the scan's name in it, whatever found it."""
    return error if str(scan) in str(error) else DataError(f"{scan}: {error}")
