"""Time offset of a camera: the points of a moving vehicle match its image best at the time that it was taken.

The points on outlines (see ``alignment``) move to the sensor's frame at assumed times of the image. Parts of all images
are drawn with replacement, again and again; the spread of their best times is the uncertainty (bootstrap).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.datasets.check.alignment import EdgePoints, strength_at
from elite.geometry import project
from elite.rotations import from_vector
from elite.shapes import Float, Float32, Float64
from elite.types import Camera

_STEP_S, _LARGEST_S = 0.02, 0.3
_OFFSETS = _STEP_S * np.arange(-round(_LARGEST_S / _STEP_S), round(_LARGEST_S / _STEP_S) + 1)
_PARTS = 8  # of the width of an image: an outline is rarely wider
_FEWEST_PARTS = 6
_DRAWS = 400
_INTERVAL = (0.05, 0.95)
_WIDEST_S = 0.05  # of an interval that determines the offset


@dataclass(frozen=True)
class TimeOffset:
    """Assumed delay of the images of a camera: seconds to add to their times.

    Attributes:
        best: delay of the largest score (s).
        low, high: 90 % interval of ``best`` (s).
        best_score: the largest score.
        stated_score: score of the stated times.
        scores: by delay, from -0.3 to 0.3 s in steps of 0.02 s.
    """

    best: float
    low: float
    high: float
    best_score: float
    stated_score: float
    scores: tuple[float, ...]

    @property
    def is_determined(self) -> bool:
        """Whether the interval is narrow, and not at the end of the search."""
        return self.high - self.low < _WIDEST_S and max(abs(self.low), abs(self.high)) < _LARGEST_S - _STEP_S

    @property
    def uncertainty(self) -> float:
        """Half of the interval, at least a millisecond (s)."""
        return max((self.high - self.low) / 2, 1e-3)

    def to_dict(self) -> dict[str, Any]:
        scores = {f"{offset:+.2f}": score for offset, score in zip(_OFFSETS, self.scores, strict=True)}
        values = {"best": self.best, "low": self.low, "high": self.high, "is_determined": self.is_determined}
        return values | {"scores": scores}


def offset_sums(
    edges: EdgePoints, camera: Camera, velocity: Float64[np.ndarray, "6"]
) -> Float[np.ndarray, "parts offsets 2"]:
    """Sums of weighted edge strengths and of weights by part of the image and by delay; an image has the weight 1.

    Args:
        edges: points on outlines at the stated time of the image.
        camera: its projection.
        velocity: of the sensor (m/s), and its rotation vector per second (rad/s), in its frame.
    """
    columns = edges.strength.shape[1]
    part = np.clip(project(edges.points, camera)[0][:, 0] / edges.scale / columns * _PARTS, 0, _PARTS - 1).astype(int)
    sums = np.zeros((_PARTS, len(_OFFSETS), 2))
    for k, seconds in enumerate(_OFFSETS):
        strength, inside = strength_at(edges, project(_moved(edges, velocity, seconds), camera)[0])
        sums[:, k, 0] = np.bincount(part, edges.weight * strength, _PARTS)
        sums[:, k, 1] = np.bincount(part, edges.weight * inside, _PARTS)
    return sums / max(float(edges.weight.sum()), 1e-9)


def _moved(edges: EdgePoints, velocity: Float64[np.ndarray, "6"], seconds: float) -> Float32[np.ndarray, "m 3"]:
    """Points in the frame of the sensor after so many seconds."""
    turn = from_vector(velocity[3:] * seconds)
    return ((edges.points - velocity[:3] * seconds) @ turn).astype(np.float32)


def time_offset(sums: Sequence[Float[np.ndarray, "parts offsets 2"]]) -> TimeOffset | None:
    """Estimate the delay from the ``offset_sums`` of the images of a camera; None if too few parts have outlines."""
    parts = np.concatenate([*sums, np.zeros((0, len(_OFFSETS), 2))])
    parts = parts[parts[:, len(_OFFSETS) // 2, 1] > 0]
    if len(parts) < _FEWEST_PARTS:
        return None
    draws = np.random.default_rng(0).multinomial(len(parts), np.full(len(parts), 1 / len(parts)), _DRAWS)
    drawn = np.tensordot(draws, parts, axes=1)
    low, high = np.quantile([_peak(scores) for scores in _ratio(drawn)], _INTERVAL)
    scores = _ratio(parts.sum(axis=0))
    return TimeOffset(
        best=_peak(scores),
        low=float(low),
        high=float(high),
        best_score=float(scores.max()),
        stated_score=float(scores[len(_OFFSETS) // 2]),
        scores=tuple(scores.tolist()),
    )


def _ratio(sums: Float[np.ndarray, "*rows offsets 2"]) -> Float[np.ndarray, "*rows offsets"]:
    """Mean edge strength; 0 where no point is in the image."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-9)


def _peak(scores: Float[np.ndarray, "offsets"]) -> float:
    """Delay of the largest score, by the parabola through it and its neighbours."""
    k = int(scores.argmax())
    if not 0 < k < len(scores) - 1:
        return float(_OFFSETS[k])
    before, top, after = scores[k - 1 : k + 2]
    curvature = before - 2 * top + after
    return float(_OFFSETS[k] + (_STEP_S * (before - after) / (2 * curvature) if curvature < 0 else 0.0))
