"""One scan in, labels out. LiDAR only: no image, no calibration, no labels, and nothing but the core packages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from elite.data.semantickitti import read_scan
from elite.errors import CheckpointError, ConfigError, DataError, EliteError
from elite.files import write_bytes
from elite.geometry import in_volume, nearest
from elite.labels import NUM_CLASSES, to_raw
from elite.student import SPVCNN, load_student
from elite.types import Scan, SegmentationResult


class Segmenter:
    """A trained student, ready for scans::

    segmenter = elite.Segmenter.load("best.ckpt")
    result = segmenter(points, remission)          # (N, 3) metres, (N,) -> labels (N,), confidence (N,)
    """

    def __init__(self, student: SPVCNN, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.student = student.to(self.device).eval()

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> "Segmenter":
        """From a training checkpoint, an imported or an exported student.

        Raises:
            CheckpointError: the file is none of them, or damaged, or its student has other classes.
            ConfigError: ``device`` is not there.
        """
        student = load_student(Path(path))
        if student.config.classes != NUM_CLASSES:
            raise CheckpointError(
                f"{path} holds a student of {student.config.classes} classes, expected SemanticKITTI's {NUM_CLASSES} "
                "(with the ignored one); take a checkpoint trained on them."
            )
        return cls(student, pick_device(device))

    @torch.inference_mode()
    def __call__(self, points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"]) -> SegmentationResult:
        """Label every point: those inside the volume by the network, the others as their nearest labelled neighbour.

        Raises:
            DataError: arrays of another shape, NaN or infinite numbers, or no point inside the volume.
        """
        points, remission = _checked(points, remission)
        inside = in_volume(points, self.student.config.volume)
        if not inside.any():
            low, high = self.student.config.volume
            raise DataError(
                f"none of the {len(points)} points is in the volume {low} .. {high} m; expected metres in the sensor "
                "frame, x forward, z up."
            )
        inputs = (torch.from_numpy(points[inside]), torch.from_numpy(remission[inside]))
        at = [t.to(self.device) for t in (*inputs, torch.zeros(int(inside.sum()), dtype=torch.int64))]
        probability = torch.softmax(self.student(*at).logits[:, 1:].float(), dim=1)  # class 0 is never an answer
        confidence, label = (t.cpu().numpy() for t in probability.max(dim=1))
        answer = nearest(points, inside)
        return SegmentationResult((label + 1).astype(np.uint8)[answer], confidence[answer])

    def segment(self, scan: Scan) -> SegmentationResult:
        return self(scan.points, scan.remission)


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1``."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"'{name}' is no device; expected auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"'{name}' is not supported; expected auto, cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"no device '{name}': torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu.")
    return device


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


def predict_files(
    segmenter: Segmenter, jobs: Iterable[Job], failed: Callable[[Job, EliteError], None]
) -> tuple[int, int]:
    """Label scan files into raw-id label files; a damaged scan is reported to ``failed`` and skipped.

    Returns (scans written, scans failed).
    """
    written = failures = 0
    for job in jobs:
        try:
            result = segmenter.segment(read_scan(job.scan))
        except DataError as error:
            failed(job, DataError(str(error) if str(job.scan) in str(error) else f"{job.scan}: {error}"))
            failures += 1
            continue
        if job.confidence is not None:
            write_bytes(job.confidence, result.confidence.astype("<f4").tobytes())
        write_bytes(job.labels, to_raw(result.labels).astype("<u4").tobytes())
        written += 1
    return written, failures
