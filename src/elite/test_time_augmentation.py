"""Test-time augmentation: predict several views of a scan, and average their predictions."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from elite.config import AugmentConfig
from elite.data.augment import transform_points
from elite.errors import ConfigError
from elite.native import answers_of
from elite.shapes import Float32, Int64, UInt8

VoteBy = Literal["softmax", "logits", "released"]

# Rotations about z and shifts, as in the published views; no dropped points, flips or scaling.
_ROTATIONS = AugmentConfig(drop=0.0, flip=False, scale=(1.0, 1.0))


class ViewLogits(NamedTuple):
    """The student's output for one view; ``row[i]`` is the row of ``logits`` for point i."""

    logits: Float32[np.ndarray, "k classes"]
    row: Int64[np.ndarray, "n"]


class GroupAnswers(NamedTuple):
    """Class of groups of points, its probability, those of the classes 1.., and their entropy (None = not computed)."""

    labels: UInt8[np.ndarray, "groups"]
    confidence: Float32[np.ndarray, "groups"]
    probabilities: Float32[np.ndarray, "groups trained"]
    entropy: Float32[np.ndarray, "groups"] | None = None


@dataclass(frozen=True)
class ViewEnsemble:
    """Views of a scan, and the average of their predictions.

    The first view is the scan itself. Each other one is rotated about z by a random angle and shifted by N(0, 0.1 m).
    View k depends only on ``seed``, the scan's points and k, not on the number of views, the order of the scans or the
    process.

    Attributes:
        count: number of views; 1 = no augmentation.
        by: softmax = mean of the class probabilities; logits = mean of the logits; released = mean of the logits of the
            published views: all are rotated and shifted, and the scan itself is not one of them. The published code
            uses 12.
        seed: of the rotations and shifts.

    Raises:
        ConfigError: count below 1, an unknown average, or a seed outside [0, 2^32).
    """

    count: int = 1
    by: VoteBy = "softmax"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"votes: expected at least 1, found {self.count}. Use 1 for no test-time augmentation.")
        if self.by not in ("softmax", "logits", "released"):
            raise ConfigError(f"vote_by: expected softmax, logits or released, found '{self.by}'. Use one of them.")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed: expected a number in [0, 2^32), found {self.seed}. Use another seed.")

    def views(self, points: Float32[np.ndarray, "n 3"]) -> Iterator[Float32[np.ndarray, "n 3"]]:
        """Points of each view, in the same order, in metres about the sensor; they may leave the volume."""
        for k in range(self.count):
            is_scan = k == 0 and self.by != "released"
            yield points if is_scan else self._rotate(points, k)

    def _rotate(self, points: Float32[np.ndarray, "n 3"], k: int) -> Float32[np.ndarray, "n 3"]:
        rng = np.random.default_rng((self.seed, zlib.crc32(points.tobytes()), k))
        return transform_points(points, _ROTATIONS, rng)

    def answers(
        self,
        views: Iterable[ViewLogits],
        require_finite: Callable[[np.ndarray], None],
        threads: int | None = None,
    ) -> tuple[GroupAnswers, Int64[np.ndarray, "n"]]:
        """Find the most probable class of groups of points from the output for each view.

        Args:
            views: of the same points.
            require_finite: called with logits or probabilities.
            threads: of libelite, which computes those of a single view with the bits that programs get that call it;
                None = compute them by numpy.

        Returns:
            Answers of the groups, and the group of each point.
        """
        if threads is not None and self.count == 1:
            [(logits, row)] = views
            require_finite(logits[:, 1:])
            found = answers_of(logits, threads=threads)
            shares = found.class_probabilities[:, 1:]
            return GroupAnswers(found.labels, found.probabilities, shares, found.entropy), row
        probability, row = self.mean(views)
        best = probability.argmax(axis=1)
        confidence = probability[np.arange(len(best)), best]
        require_finite(confidence)
        return GroupAnswers((best + 1).astype(np.uint8), confidence, probability), row

    def mean(self, views: Iterable[ViewLogits]) -> tuple[Float32[np.ndarray, "rows trained"], Int64[np.ndarray, "n"]]:
        """Return (probability of classes 1..19, row of each point) from the output for each view.

        The rows of two views belong to different groups of points. From the second view on, the sum has a row for
        every point.
        """
        views = iter(views)
        logits, row = next(views)
        total, count = self._score(logits), 1
        for logits, view_row in views:
            if count == 1:
                total, row = total[row], np.arange(len(row))
            total += self._score(logits)[view_row]
            count += 1
        mean = total / np.float32(count) if count > 1 else total
        return (mean if self.by == "softmax" else softmax(mean)), row

    def _score(self, logits: Float32[np.ndarray, "k classes"]) -> Float32[np.ndarray, "k trained"]:
        trained = logits[:, 1:]  # class 0, ignored, is never trained
        return softmax(trained) if self.by == "softmax" else trained


def softmax(logits: Float32[np.ndarray, "k trained"]) -> Float32[np.ndarray, "k trained"]:
    """Softmax of each row; NaN for a row with NaN or infinite numbers."""
    columns = logits.T.copy()  # contiguous: sums over few columns of many rows are then faster
    with np.errstate(invalid="ignore", over="ignore"):
        columns -= columns.max(axis=0)
        np.exp(columns, out=columns)
        columns /= columns.sum(axis=0)
    return np.ascontiguousarray(columns.T)
